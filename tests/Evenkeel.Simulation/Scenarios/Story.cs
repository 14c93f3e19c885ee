using System.Globalization;
using System.Text;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Simulation.World;

namespace Evenkeel.Simulation.Scenarios;

/// <summary>
/// Plays one story on a quiet cluster of three nodes and tells what came of it: decisions in their order, the longest outage
/// of each resource (virtual time, rounded up to 50 ms), and who has what in the end.
/// </summary>
internal sealed class Story
{
    private const long Millisecond = 1_000_000;
    private readonly SimCluster cluster = new(42, Bug.None, traced: false, Plan.Fixed());
    private readonly StringBuilder told = new();
    private readonly Dictionary<ResourceId, int> gaps = [];
    private readonly Dictionary<ResourceId, int> longest = [];
    private int requests;
    private bool begun;
    /// <summary>Whose file was changed: its instances' comings and goings are told from then on.</summary>
    private string? changed;
    private int fewest = int.MaxValue;

    public static string Tell(IEnumerable<string> lines)
    {
        var story = new Story();
        story.cluster.Network.Loss = story.cluster.Network.Late = 0;
        story.cluster.Heard = story.Hear;
        story.cluster.Begin();
        story.Wait(3000);
        story.begun = true;
        foreach (var line in lines) story.Do(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        story.End();
        return story.told.ToString();
    }

    private void Do(string[] words)
    {
        told.Append(CultureInfo.InvariantCulture, $"> {string.Join(' ', words)}\n");
        switch (words)
        {
            case ["wait", var time]: Wait(int.Parse(time, CultureInfo.InvariantCulture)); break;
            case ["power-off", var node]: Node(node).PowerOff(); break;
            case ["power-on", var node]: Node(node).PowerOn(); break;
            case ["kill", var node, "agent"]: Node(node).Agent.Crash(); break;
            case ["kill", var node, "guard"]: Node(node).Guard.Crash(); break;
            case ["stop", var node, .. var which]: Each(node, which, process => process.Stop()); break;
            case ["continue", var node, .. var which]: Each(node, which, process => process.Continue()); break;
            case ["cut", var from, var to]: cluster.Network.Cut(new(from), new(to)); break;
            case ["isolate", var node]: Isolate(node); break;
            case ["heal"]: cluster.Network.HealAll(); cluster.Store.HealAll(); break;
            case ["public", "down", var node]: Node(node).SetPublic(false); break;
            case ["public", "up", var node]: Node(node).SetPublic(true); break;
            case ["store", "down"]:
                cluster.Store.Outages++;
                foreach (var node in cluster.Nodes.Values) node.Agent.LoseStore("no quorum");
                break;
            case ["store", "up"]: cluster.Store.Outages = 0; break;
            case ["restore"]: Restore(); break;
            case ["change", var service, var argument]: Change(service, argument); break;
            case ["drain", var node]: Commit(Operations.Drain(cluster.Codec, State(), new(node), "", Request())); break;
            case ["maintain", var node]: Commit(Operations.Maintain(cluster.Codec, State(), new(node), "", Request())); break;
            case ["resume", var node]: Commit(Operations.Resume(cluster.Codec, State(), new(node), Request())); break;
            case ["move", var resource, var to]: Commit(Operations.Move(cluster.Codec, State(), new(resource), new(to), Request())); break;
            default: throw new FormatException($"No story knows '{string.Join(' ', words)}'.");
        }
    }

    private void Wait(int milliseconds)
    {
        for (var passed = 0; passed < milliseconds; passed++)
        {
            if (!cluster.Run(Millisecond)) throw new InvalidOperationException(cluster.Invariants.Violation);
            if (!begun) continue;
            if (changed is not null) fewest = Math.Min(fewest, cluster.Nodes.Values.Count(node => node.Running.ContainsKey(changed)));
            foreach (var resource in cluster.Invariants.Resources)
            {
                gaps[resource] = cluster.Invariants.Actor(resource) is null ? gaps.GetValueOrDefault(resource) + 1 : 0;
                longest[resource] = Math.Max(longest.GetValueOrDefault(resource), gaps[resource]);
            }
        }
    }

    private void Hear(NodeName by, Announcement what)
    {
        if (!begun) return;
        if (what.Kind is AnnouncementKind.Detected or AnnouncementKind.Recovered or AnnouncementKind.Decided or AnnouncementKind.ControllerClaimed or AnnouncementKind.Quarantined or AnnouncementKind.QuarantineEnded
            or AnnouncementKind.MoveFulfilled or AnnouncementKind.MoveRefused or AnnouncementKind.IncarnationChanged)
            told.Append(CultureInfo.InvariantCulture, $"  {by} {what.Kind}: {what.Words}\n");
        else if (changed is not null && what.Service == changed && what.Kind is (AnnouncementKind.InstanceStarted or AnnouncementKind.InstanceStopped))
            told.Append(CultureInfo.InvariantCulture, $"  {by} {what.Kind}: {what.Words}\n");
    }

    private void Change(string service, string argument)
    {
        changed = service;
        var spec = State().Spec!.Value;
        var driver = (ProcessDriverSpec)spec.Value.Services[service].Driver;
        var services = spec.Value.Services.ToDictionary();
        services[service] = services[service] with { Driver = driver with { Command = [driver.Command[0], argument] } };
        cluster.Store.Apply(new Transaction(Request(), [new Compare(cluster.Codec.Keys.Spec, spec.Revision)], [cluster.Codec.Put(spec.Value with { Services = services })]));
    }

    private void End()
    {
        told.Append("end\n");
        foreach (var resource in cluster.Invariants.Resources)
        {
            var outage = longest.GetValueOrDefault(resource);
            var words = outage == 0 ? "no outage" : $"outage at most {(outage + 49) / 50 * 50} ms";
            told.Append(CultureInfo.InvariantCulture, $"  {resource}: {cluster.Invariants.Actor(resource)?.Value ?? "nobody"}, {words}\n");
        }
        if (changed is not null) told.Append(CultureInfo.InvariantCulture, $"  {changed} never ran on fewer than {fewest} nodes\n");
        told.Append(CultureInfo.InvariantCulture, $"  web: {string.Join(" ", cluster.Nodes.Values.Where(node => node.Running.ContainsKey("web")).Select(node => node.Name))}\n");
    }

    private void Isolate(string node)
    {
        foreach (var other in cluster.Nodes.Keys.Where(other => other.Value != node))
        {
            cluster.Network.Cut(new(node), other);
            cluster.Network.Cut(other, new(node));
        }
        cluster.Store.CutFrom(new(node));
        Node(node).Agent.LoseStore("unreachable");
    }

    private void Restore()
    {
        var incarnation = State().Incarnation;
        cluster.Store.Restore();
        Commit(Operations.BeginIncarnation(cluster.Codec, State(), incarnation, Request()));
        foreach (var node in cluster.Nodes.Values) node.Agent.LoseStore("restored");
    }

    private void Commit(Operation operation)
    {
        if (operation.Refusal is { } refusal) told.Append(CultureInfo.InvariantCulture, $"  refused: {refusal}\n");
        else cluster.Store.Apply(operation.Transaction!);
    }

    private void Each(string node, string[] which, Action<SimProcess> act)
    {
        if (which.Contains("agent")) act(Node(node).Agent.Process);
        if (which.Contains("guard")) act(Node(node).Guard.Process);
    }

    private ClusterState State() => new StateCodec(Plan.Cluster).Read(cluster.Store.Snapshot());
    private Guid Request() => new(3, 0, 0, BitConverter.GetBytes((long)++requests));
    private SimNode Node(string name) => cluster.Node(new(name));
}
