using Evenkeel.Agent.Preflight;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Evenkeel.Cli.Views;

/// <summary>A preflight's report: the verdict, then check by check what was found, with what to do where it is not as it should be.</summary>
internal static class PreflightView
{
    public static IRenderable Of(PreflightReport report)
    {
        var parts = new List<IRenderable> { Headline(report) };
        foreach (var check in report.Findings.GroupBy(finding => finding.Check))
        {
            parts.Add(new Markup($"[bold]{Markup.Escape(check.Key)}[/]"));
            parts.AddRange(check.OrderByDescending(finding => finding.Verdict).Select(finding => Line(finding, report.Nodes.Count > 1)));
        }

        return new Rows(parts);
    }

    private static Markup Headline(PreflightReport report)
    {
        var failed = Count(report, PreflightVerdict.Failed);
        var warned = Count(report, PreflightVerdict.Warning);
        var verdict = failed > 0 ? $"[bold red]{failed} failed[/]{(warned > 0 ? $", {warned} with a warning" : "")}"
            : warned > 0 ? $"[bold yellow]nothing failed, {warned} with a warning[/]" : "[bold green]all checks passed[/]";
        return new Markup($"[bold]{Markup.Escape(report.Cluster)}[/] ({Markup.Escape(string.Join(", ", report.Nodes))}): {verdict}");
    }

    private static int Count(PreflightReport report, PreflightVerdict verdict) => report.Findings.Count(finding => finding.Verdict == verdict && !finding.Accepted);

    private static Markup Line(PreflightFinding finding, bool named)
    {
        var (mark, colour) = finding switch
        {
            { Accepted: true } => ("~", "grey"),
            { Verdict: PreflightVerdict.Failed } => ("✗", "red"),
            { Verdict: PreflightVerdict.Warning } => ("!", "yellow"),
            { Verdict: PreflightVerdict.Note } => ("·", "grey"),
            _ => ("✓", "green"),
        };
        var where = named && finding.Node.Length > 0 ? $"{finding.Node}: " : "";
        var words = $"  [{colour}]{mark}[/] {Markup.Escape(where + finding.What)}{(finding.Accepted ? " [grey](accepted)[/]" : "")}";
        return new Markup(finding.Mend is { } mend && !finding.Accepted ? $"{words}\n      do: {Markup.Escape(mend)}" : words);
    }
}
