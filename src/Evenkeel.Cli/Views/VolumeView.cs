using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Spectre.Console;

namespace Evenkeel.Cli.Views;

/// <summary>Volumes as a table.</summary>
internal static class VolumeView
{
    public static Table Of(IReadOnlyList<VolumeReport> volumes)
    {
        var table = new Table().Border(TableBorder.None);
        foreach (var heading in new[] { "VOLUME", "RAID", "SIZE", "WRITER", "SERVICE", "LEGS" })
            table.AddColumn(new TableColumn($"[grey]{heading}[/]").NoWrap().PadRight(2));
        foreach (var volume in volumes)
            table.AddRow(Markup.Escape(volume.Name), $"{volume.Level}", ByteSize.Format(volume.Size),
                volume.Writer is { } writer ? Markup.Escape(writer.Node.Value) + (volume.Mounted ? "" : " [yellow](not mounted)[/]") : "-",
                volume.Service is { } service ? Markup.Escape($"{service} at {volume.MountAt}") : "-",
                string.Join(", ", volume.Legs.Select(leg => $"{Markup.Escape(leg.Node.Value)} {Colour(leg.State)}")));
        return table;
    }

    public static string Word(LegState state) => state switch { LegState.InSync => "in sync", LegState.Following => "following", LegState.Syncing => "syncing", LegState.Stale => "stale", _ => "away" };

    private static string Colour(LegState state) => state switch
    {
        LegState.InSync => "[green]in sync[/]",
        LegState.Following => "[green]following[/]",
        LegState.Syncing => "[yellow]syncing[/]",
        _ => $"[red]{Word(state)}[/]",
    };
}
