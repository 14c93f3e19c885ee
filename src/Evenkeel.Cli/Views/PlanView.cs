using Evenkeel.Agent.Configuration;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Evenkeel.Cli.Views;

/// <summary>Changes, each with its consequence; then the sum.</summary>
internal static class PlanView
{
    public static IRenderable Of(IReadOnlyList<SpecChange> changes)
    {
        if (changes.Count == 0)
            return new Markup("Nothing to change: the cluster runs this file already.\n");
        var lines = changes.Select(Line).ToList();
        var effects = changes.GroupBy(change => change.Effect).OrderByDescending(group => group.Key)
            .Select(group => $"{group.Count()} {Word(group.Key)}");
        return new Rows([.. lines, new Markup($"\n{changes.Count} change{(changes.Count == 1 ? "" : "s")}: {string.Join(", ", effects)}\n")]);
    }

    private static Markup Line(SpecChange change)
    {
        var (mark, colour) = change.Kind switch { ChangeKind.Added => ("+", "green"), ChangeKind.Removed => ("-", "red"), _ => ("~", "yellow") };
        var values = change switch
        {
            { Before: null, After: null } => "",
            { Before: null } => $": {change.After}",
            { After: null } => $": was {change.Before}",
            _ => $": {change.Before} → {change.After}",
        };
        return new Markup($"[{colour}]{mark} {Markup.Escape(change.Path)}[/]{Markup.Escape(values)}\n    [bold]{Word(change.Effect)}[/]: {Markup.Escape(change.Consequence)}");
    }

    private static string Word(ChangeEffect effect) => effect switch
    {
        ChangeEffect.None => "no interruption",
        ChangeEffect.Starts => "start",
        ChangeEffect.Reroutes => "reroute",
        ChangeEffect.Moves => "move",
        ChangeEffect.Restarts => "restart",
        ChangeEffect.Stops => "stop",
        _ => "impossible",
    };
}
