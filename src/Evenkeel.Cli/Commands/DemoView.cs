using System.Globalization;
using System.Net;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Evenkeel.Cli.Commands;

/// <summary>The demo's live view: the cluster, what clients see, and keys that do harm.</summary>
internal sealed class DemoView(LoopbackCluster cluster, Prober prober, IPEndPoint front)
{
    private static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(250);
    private readonly List<Probe> _recent = [];
    private TimeSpan _lastOutage;
    private int _selected;
    private string _said = "";

    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        var nodes = cluster.Spec.Nodes.Keys.Order().ToList();
        await AnsiConsole.Live(new Text("")).StartAsync(async live =>
        {
            while (!cancellation.IsCancellationRequested)
            {
                while (Console.KeyAvailable)
                {
                    if (!await PressAsync(Console.ReadKey(intercept: true), nodes, cancellation).ConfigureAwait(false))
                    {
                        return;
                    }
                }

                Measure();
                live.UpdateTarget(Draw(nodes, await cluster.StatusAsync(cancellation).ConfigureAwait(false)));
                await Task.Delay(Refresh, cancellation).ConfigureAwait(false);
            }
        }).ConfigureAwait(false);
        return ExitCode.Success;
    }

    /// <returns>False to leave.</returns>
    private async Task<bool> PressAsync(ConsoleKeyInfo key, IReadOnlyList<NodeName> nodes, CancellationToken cancellation)
    {
        if (key.KeyChar is >= '1' and <= '9' && key.KeyChar - '1' < nodes.Count)
        {
            _selected = key.KeyChar - '1';
            return true;
        }

        var node = nodes[_selected];
        switch (char.ToLowerInvariant(key.KeyChar))
        {
            case 'k':
                cluster.Kill(node);
                _said = $"killed {node}";
                break;
            case 'h':
                cluster.Hang(node);
                _said = $"hung {node} (SIGSTOP)";
                break;
            case 'd':
                _said = await cluster.DrainAsync(node, cancellation).ConfigureAwait(false) ?? $"draining {node}";
                break;
            case 'b':
                cluster.BringBack(node);
                _said = await cluster.ResumeAsync(node, cancellation).ConfigureAwait(false) is { } problem ? $"{node} is back; {problem}" : $"{node} is back";
                break;
            case 'q':
                return false;
        }

        return true;
    }

    private void Measure()
    {
        _recent.AddRange(prober.Take());
        var begin = prober.Now - TimeSpan.FromSeconds(10);
        _recent.RemoveAll(probe => probe.Started < begin);
        var outage = Evenkeel.Agent.Local.OutageReport.Of(_recent, null).LongestOutage;
        if (outage > TimeSpan.FromMilliseconds(50))
        {
            _lastOutage = outage;
        }
    }

    private Rows Draw(IReadOnlyList<NodeName> nodes, StatusReport? status)
    {
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumns("", "node", "state", "lease", "instance", "load");
        for (var i = 0; i < nodes.Count; i++)
        {
            var node = status?.Nodes.FirstOrDefault(node => node.Name == nodes[i]);
            var instance = status?.Services.SelectMany(service => service.Instances).FirstOrDefault(instance => instance.Node == nodes[i]);
            var lease = status?.Vips.Where(vip => vip.Held && vip.Owner?.Node == nodes[i]).Select(vip => $"{vip.Name} (epoch {vip.Owner!.Epoch})");
            table.AddRow(
                new Text(i == _selected ? $">{i + 1}" : $" {i + 1}"),
                new Text(nodes[i].Value + (status?.Controller?.Node == nodes[i] ? " (controller)" : "")),
                State(node),
                new Text(string.Join(", ", lease ?? [])),
                new Text(instance is null ? "-" : $"{instance.Status}, {instance.Health}".ToLowerInvariant()),
                new Text(node is null ? "" : node.LoadPerCore.ToString("0.0", CultureInfo.InvariantCulture)));
        }

        var last = _recent.Where(probe => probe.Started > prober.Now - TimeSpan.FromSeconds(1)).ToList();
        return new Rows(
            table,
            new Markup($"http://{front}/   {last.Count(probe => probe.Failure is null)} answers/s, {last.Count(probe => probe.Failure is not null)} failures/s, last outage {_lastOutage.TotalMilliseconds:0} ms"),
            new Markup(Markup.Escape(_said)),
            new Markup($"[bold]1-{nodes.Count}[/] choose a node   [bold]k[/] kill   [bold]h[/] hang   [bold]d[/] drain   [bold]b[/] bring back   [bold]q[/] quit"));
    }

    private static IRenderable State(NodeReport? node) => node switch
    {
        null => new Markup("[grey]?[/]"),
        { Reach: not Reach.Alive } => new Markup("[red]lost[/]"),
        { Mode: not NodeMode.Active } => new Markup($"[yellow]{node.Mode.ToString().ToLowerInvariant()}[/]"),
        { Ready: false } => new Markup("[yellow]starting[/]"),
        _ => new Markup("[green]ready[/]"),
    };
}
