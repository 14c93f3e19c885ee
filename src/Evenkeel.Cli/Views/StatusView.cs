using System.Globalization;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Evenkeel.Cli.Views;

/// <summary>A status report as one screen.</summary>
internal static class StatusView
{
    public static IRenderable Of(StatusReport report, IReadOnlyList<Finding> findings)
    {
        var parts = new List<IRenderable> { Headline(report, findings) };
        parts.AddRange(findings.Select(Problem));
        parts.Add(Nodes(report));
        if (report.Vips.Count > 0)
            parts.Add(Vips(report));
        if (report.Services.Count > 0)
            parts.Add(Services(report));
        if (report.Backups.Count > 0)
            parts.Add(BackupView.Of(report));
        if (report.Volumes.Count > 0)
            parts.Add(VolumeView.Of(report.Volumes));
        parts.Add(Foot(report));
        return new Rows(parts);
    }

    private static Markup Headline(StatusReport report, IReadOnlyList<Finding> findings)
    {
        var down = findings.Count(finding => finding.Concern == Concern.Down);
        var degraded = findings.Count(finding => finding.Concern == Concern.Degraded);
        var verdict = down > 0 ? $"[bold red]{Plural(down, "thing")} down[/]{(degraded > 0 ? $", {degraded} degraded" : "")}"
            : degraded > 0 ? $"[bold yellow]clients are served, {Plural(degraded, "problem")}[/]"
            : "[bold green]everything is all right[/]";
        return new Markup($"[bold]{Markup.Escape(report.Cluster)}[/]: {verdict}");
    }

    private static Markup Problem(Finding finding)
    {
        var (mark, colour) = finding.Concern switch { Concern.Down => ("✗", "red"), Concern.Degraded => ("!", "yellow"), _ => ("·", "grey") };
        return new Markup($"  [{colour}]{mark} {Markup.Escape(finding.What)}[/]\n      do: {Markup.Escape(finding.Do)}");
    }

    private static Table Nodes(StatusReport report)
    {
        // Only in the midst of an upgrade does it say something.
        var versions = report.Nodes.Where(node => node.Program.Length > 0 || node.Reach == Reach.Alive).Select(node => node.Program).Distinct().Count() > 1;
        var table = Plain("NODE", "STATE", "ROLE", "PUBLIC", "PRIVATE", "LOAD");
        if (versions)
            table.AddColumn(Column("VERSION"));
        foreach (var node in report.Nodes)
        {
            List<string> cells =
            [
                node.Name.Value + (report.Controller?.Node == node.Name ? " (controller)" : ""),
                State(node),
                (node.Role == NodeRole.Witness ? "witness" : "full") + (node.Votes ? "" : ", no vote"),
                node.Public?.ToString() ?? "-",
                string.Join(' ', node.Private),
                node.Reach == Reach.Alive ? node.LoadPerCore.ToString("0.00", CultureInfo.InvariantCulture) : "-",
            ];
            if (versions)
                cells.Add(node.Program.Length > 0 ? Markup.Escape(ShortVersion(node.Program)) : "older");
            table.AddRow([.. cells]);
        }
        return table;
    }

    // Of the commit's hash as much as tells one from another.
    private static string ShortVersion(string program) => program.IndexOf('+', StringComparison.Ordinal) is > 0 and var plus && program.Length > plus + 8 ? program[..(plus + 8)] : program;

    private static string State(NodeReport node) => node switch
    {
        { Fence.Phase: FencePhase.Confirmed } => "[red]cut off[/]",
        { Fence: not null } => "[red]being cut off[/]",
        { Restarting: true } => "[yellow]restarting[/]",
        { Reach: Reach.Lost } => "[red]lost[/]",
        { Reach: Reach.Unknown } => "[yellow]not heard yet[/]",
        { Mode: NodeMode.Draining } => "[yellow]drained[/]",
        { Mode: NodeMode.Maintenance } => "[yellow]maintenance[/]",
        { Mode: NodeMode.Quarantined } => "[red]quarantined[/]",
        { GuardConnected: false } => "[yellow]no guard[/]",
        { Ready: false } => "[yellow]starting[/]",
        _ => "[green]alive[/]",
    };

    private static Table Vips(StatusReport report)
    {
        var table = Plain("VIRTUAL IP", "ADDRESS", "OWNER", "EPOCH");
        foreach (var vip in report.Vips)
            table.AddRow(Markup.Escape(vip.Name), vip.Address.ToString(),
                vip.Owner is { } owner ? vip.Held ? $"[green]{owner.Node}[/]" : $"[yellow]{owner.Node} (taking it)[/]" : "[red]none[/]",
                vip.Owner?.Epoch.ToString() ?? "-");
        return table;
    }

    private static Table Services(StatusReport report)
    {
        var table = Plain("SERVICE", "REDUNDANCY", "HEALTHY", "WHERE", "DOORS", "GOALS");
        foreach (var service in report.Services)
        {
            var healthy = service.Instances.Count(instance => instance is { Status: InstanceStatus.Running, Health: not Health.Unhealthy });
            var colour = healthy >= service.Wanted ? "green" : healthy == 0 ? "red" : "yellow";
            table.AddRow(Markup.Escape(service.Name), service.Redundancy.ToString().ToLowerInvariant(),
                $"[{colour}]{healthy} of {service.Wanted}[/]",
                string.Join(' ', service.Instances.Select(instance => Where(service, instance))),
                Markup.Escape(string.Join(' ', service.Doors)),
                string.Join(' ', new[] { Goal("RTO", service.Rto), Goal("RPO", service.Rpo) }.OfType<string>()));
        }
        return table;
    }

    private static string Where(ServiceReport service, InstanceReport instance)
    {
        var owner = service.Owner?.Node == instance.Node ? "*" : service.Data is { } data && data.InSync.Contains(instance.Node) ? "=" : "";
        if (instance.LagBytes is > 0 and var lag)
            owner += $"(-{ByteSize.Format(lag)}{(instance.LagTime is { TotalSeconds: >= 1 } age ? $", {Duration.Format(TimeSpan.FromSeconds(Math.Floor(age.TotalSeconds)))}" : "")})";
        return instance switch
        {
            { Status: InstanceStatus.Running, Health: not Health.Unhealthy } => $"[green]{instance.Node}{owner}[/]",
            { Status: InstanceStatus.Running } => $"[red]{instance.Node}{owner}(unhealthy)[/]",
            _ => $"[yellow]{instance.Node}{owner}({instance.Status.ToString().ToLowerInvariant()})[/]",
        };
    }

    private static Markup Foot(StatusReport report)
    {
        var outage = report.LastOutage is { } last
            ? $"last outage: {last.Subject} {Duration.Format(last.Duration)} at {last.At.ToLocalTime():yyyy-MM-dd HH:mm:ss} ({last.Cause})" : "no outage measured";
        return new Markup(Markup.Escape($"store: {report.Store.Kind}, {(report.Store.HasQuorum ? "has a majority" : "no majority")} | seen by {report.AnsweredBy} at {report.At.ToLocalTime():HH:mm:ss} | {outage}") + "\n",
            new Style(Color.Grey));
    }

    private static TableColumn Column(string name) => new($"\n[grey]{name}[/]") { Padding = new Padding(0, 0, 3, 0), NoWrap = true };

    internal static Table Plain(params string[] columns)
    {
        var table = new Table().Border(TableBorder.None).ShowHeaders();
        foreach (var column in columns)
            table.AddColumn(Column(column));
        return table;
    }

    private static string? Goal(string name, TimeSpan? goal) => goal is { } time ? $"{name} {Duration.Format(time)}" : null;
    private static string Plural(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
