using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Services.Fencing;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The control API's view of this agent: readings come from the loop's own knowledge, changes are transactions on the store
/// which the controller then acts on. An agent needs no special role to answer.
/// </summary>
internal sealed class ControlPlane(
    AgentConfiguration configuration, LoopThread loop, ICoordinationStore store, FenceDevices fences, EventLog events, ClusterLogs logs, string storeKind) : IControlPlane
{
    /// <summary>Receivers of alerts that it does not reach.</summary>
    public Func<IReadOnlyList<string>> AlertProblems { get; init; } = () => [];
    /// <summary>What the agent may not do on this node.</summary>
    public Func<IReadOnlyList<string>> OwnLimits { get; init; } = () => [];

    private readonly StateCodec _codec = new(configuration.Cluster);

    public Hello Hello => new(configuration.Cluster, configuration.Node, typeof(ControlPlane).Assembly.GetName().Version?.ToString(3) ?? "0");

    public async Task<StatusReport> GetStatusAsync(CancellationToken cancellation)
    {
        StoreReport storeReport;
        try
        {
            var status = await store.GetStatusAsync(cancellation).ConfigureAwait(false);
            storeReport = new StoreReport(storeKind, status.HasQuorum, status.Leader, status.Alarms);
        }
        catch (StoreUnavailableException exception)
        {
            storeReport = new StoreReport(storeKind, false, null, [exception.Message]);
        }

        return loop.Read(agent => StatusReading.Of(agent, configuration, fences, OwnLimits(), storeReport, DateTimeOffset.UtcNow)) with { AlertProblems = AlertProblems() };
    }

    public Task<Versioned<ClusterSpec>?> GetSpecAsync(CancellationToken cancellation) =>
        Task.FromResult(loop.Read(agent => agent.Known.State.Spec));

    public Answer<ClusterSpec> Adopt(ClusterSpec fromFile)
    {
        if (fromFile.Cluster != configuration.Cluster)
        {
            return new Problem(ProblemKind.Refused, $"the file is for cluster '{fromFile.Cluster}', this is '{configuration.Cluster}'", "Name the right cluster with --cluster");
        }

        var located = SpecLocation.In(fromFile, configuration.WorkingDirectory);
        if (!configuration.MappedToLoopback)
        {
            return located;
        }

        return LocalMapping.TryMap(located, configuration.WorkingDirectory, out var mapped, out var problem)
            ? mapped.Spec
            : new Problem(ProblemKind.Refused, problem);
    }

    public async Task<Answer<Applied>> ApplyAsync(ClusterSpec spec, long expectedRevision, CancellationToken cancellation)
    {
        var refusal = loop.Read(agent => agent.Known.State.Spec is { } inForce
            ? VoterChange.WhyNot(inForce.Value, spec, [.. inForce.Value.Nodes.Keys.Where(node =>
                node != agent.Known.Self && agent.Known.IsAlive(node) && agent.Known.Peers.Find(node)?.Last is { } beat && beat.Revision < inForce.Revision)])
            : null);
        if (refusal is var (why, mend))
        {
            return new Problem(ProblemKind.Refused, why, mend);
        }

        if (Operations.TooEarly(loop.Read(agent => agent.Known.State), spec) is { } early)
        {
            return new Problem(ProblemKind.Refused, early);
        }

        var transaction = new Transaction(Guid.NewGuid(), [new Compare(_codec.Keys.Spec, expectedRevision)], [_codec.Put(spec)]);
        var result = await CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => new Applied(result.Revision),
            CommitOutcome.Conflict => new Problem(ProblemKind.Refused, "the cluster's configuration was changed in the meantime", "Plan again, then apply"),
            _ => NotDone(result),
        };
    }

    public async IAsyncEnumerable<ClusterEvent> EventsAsync(long after, int limit, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var channel = Channel.CreateBounded<LoggedEvent>(new BoundedChannelOptions(EventLog.Kept) { FullMode = BoundedChannelFullMode.DropOldest });
        using var following = follow ? events.Follow(logged => channel.Writer.TryWrite(logged)) : null;
        var last = after;
        foreach (var logged in events.Last(EventLog.Kept).Where(logged => logged.Number > after).TakeLast(limit))
        {
            last = logged.Number;
            yield return EventWords.Of(logged);
        }

        if (!follow)
        {
            yield break;
        }

        await foreach (var logged in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
        {
            if (logged.Number > last)
            {
                yield return EventWords.Of(logged);
            }
        }
    }

    public Task<Answer<Explanation>> ExplainAsync(string service, CancellationToken cancellation) => Task.FromResult(loop.Read<Answer<Explanation>>(agent =>
    {
        var known = agent.Known;
        if (known.Spec is not { } spec || !spec.Services.TryGetValue(service, out var wanted))
        {
            return Unknown("service", service, known.Spec?.Services.Keys ?? []);
        }

        var owner = known.State.Ownerships.GetValueOrDefault(ResourceId.Service(service)).Value;
        var assignment = known.State.Assignments.GetValueOrDefault(service).Value;
        var chosen = assignment?.Nodes ?? (owner?.Current is { } current ? [current.Node] : []);
        var verdicts = spec.Nodes.Values.Select(node => StatusReading.Judge(known, node, wanted, chosen)).ToList();
        var summary = chosen.Count == 0
            ? $"{service} runs nowhere: {owner?.Reason ?? assignment?.Reason ?? "no decision has been committed yet"}"
            : $"{service} runs on {string.Join(", ", chosen)}: {owner?.Reason ?? assignment?.Reason}";
        var stuck = spec.Nodes.Values.Where(node => known.LiveInstance(node.Name, service) is { Status: InstanceStatus.Stuck })
            .Select(node => StuckInstance.What(service, node.Name, known.LiveInstance(node.Name, service)!.Detail, node.Fence is not null));
        return new Explanation(service, string.Join("; ", stuck.Append(summary)), verdicts)
        {
            Owner = owner?.Current,
            History = [.. events.Last(EventLog.Kept).Where(logged => logged.Service == service || logged.Resource == "service/" + service).TakeLast(10).Select(EventWords.Of)],
        };
    }));

    public async Task<Answer<Done>> SetNodeModeAsync(NodeName node, NodeMode mode, string reason, CancellationToken cancellation)
    {
        var (spec, record) = loop.Read(agent => (agent.Known.Spec, agent.Known.State.Nodes.GetValueOrDefault(node)));
        if (spec is null || !spec.Nodes.ContainsKey(node))
        {
            return Unknown("node", node.Value, spec?.Nodes.Keys.Select(name => name.Value) ?? []);
        }

        var others = loop.Read(agent => spec.Nodes.Values.Count(other =>
            other.Name != node && other.Role == NodeRole.Full && agent.Known.IsAlive(other.Name) && agent.Known.ModeOf(other.Name) == NodeMode.Active));
        if (mode is NodeMode.Draining or NodeMode.Maintenance && others == 0)
        {
            return new Problem(ProblemKind.Refused, $"{node} is the last node that can serve: without it every service would stop", "Bring another node back first");
        }

        var transaction = new Transaction(Guid.NewGuid(), [new Compare(_codec.Keys.Node(node), record.Revision)],
            [_codec.Put(new NodeRecord(node, mode) { Reason = reason })]);
        var result = await CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => new Done($"{node} is {mode.ToString().ToLowerInvariant()}"),
            CommitOutcome.Conflict => new Problem(ProblemKind.Refused, $"somebody else changed {node} in the meantime", "Look at evenkeel status, then try again"),
            _ => NotDone(result),
        };
    }

    public async Task<Answer<Done>> FenceAsync(NodeName node, FenceWish wish, string by, CancellationToken cancellation)
    {
        var (state, session) = loop.Read(agent => (agent.Known.State, agent.Known.FactsOf(node)?.Guard ?? default));
        if (state.Spec is not { } spec || !spec.Value.Nodes.ContainsKey(node))
        {
            return Unknown("node", node.Value, state.Spec?.Value.Nodes.Keys.Select(name => name.Value) ?? []);
        }

        if (wish == FenceWish.On)
        {
            return await SwitchOnAsync(spec.Value.Nodes[node], cancellation).ConfigureAwait(false);
        }

        var operation = wish switch
        {
            FenceWish.Confirm => FenceOperations.Confirm(_codec, state, node, session, by, Guid.NewGuid()),
            FenceWish.Cancel => FenceOperations.Cancel(_codec, state, node, Guid.NewGuid()),
            _ => FenceOperations.CutOff(_codec, state, node, session, $"asked for by {by}", Guid.NewGuid()),
        };
        if (operation.Transaction is not { } transaction)
        {
            return new Problem(ProblemKind.Refused, operation.Refusal!);
        }

        var result = await CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => new Done(wish switch
            {
                FenceWish.Confirm => $"{node} counts as cut off",
                FenceWish.Cancel => $"{node} is not cut off",
                _ => $"{node} is to be cut off",
            }),
            CommitOutcome.Conflict => new Problem(ProblemKind.Refused, $"somebody else changed {node} in the meantime", "Look at evenkeel status, then try again"),
            _ => NotDone(result),
        };
    }

    private static async Task<Answer<Done>> SwitchOnAsync(NodeSpec node, CancellationToken cancellation)
    {
        if (node.Fence is not { } device)
        {
            return new Problem(ProblemKind.Refused, $"{node.Name} has no fence device in the cluster's file", "Switch it on by hand");
        }

        var result = await new FenceDevice(node.Name.Value, device).OnAsync(cancellation).ConfigureAwait(false);
        return result.Confirmed ? new Done(result.Reason) : new Problem(ProblemKind.Unavailable, $"{node.Name} was not switched on: {result.Reason}", "Look at the device");
    }

    public async Task<Answer<Done>> MoveAsync(ResourceId resource, NodeName to, CancellationToken cancellation)
    {
        var (state, spec) = loop.Read(agent => (agent.Known.State, agent.Known.Spec));
        if (spec is null || !spec.Nodes.TryGetValue(to, out var target))
        {
            return Unknown("node", to.Value, spec?.Nodes.Keys.Select(name => name.Value) ?? []);
        }

        if (!state.Ownerships.ContainsKey(resource))
        {
            return Unknown("virtual IP or single-active service", resource.Value, state.Ownerships.Keys.Select(known => known.Value));
        }

        if (target.Role == NodeRole.Witness)
        {
            return new Problem(ProblemKind.Refused, $"{to} is a witness: it votes and runs nothing");
        }

        var revision = state.Moves.GetValueOrDefault(resource).Revision;
        var transaction = new Transaction(Guid.NewGuid(), [new Compare(_codec.Keys.Move(resource), revision)], [_codec.Put(new MoveRequest(resource, to))]);
        var result = await CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => new Done($"{resource} is asked to move to {to}") { Revision = result.Revision },
            CommitOutcome.Conflict => new Problem(ProblemKind.Refused, $"another move of {resource} is under way", "Wait until it is done"),
            _ => NotDone(result),
        };
    }

    public async Task<Answer<Done>> RestartAsync(string service, NodeName node, CancellationToken cancellation)
    {
        var (state, instance) = loop.Read(agent => (agent.Known.State, agent.Known.LiveInstance(node, service)));
        var operation = Operations.Restart(_codec, state, service, node, Guid.NewGuid());
        if (operation.Transaction is not { } transaction)
        {
            return new Problem(ProblemKind.Refused, operation.Refusal!);
        }

        if (instance is null or { Status: InstanceStatus.Stopped })
        {
            return new Problem(ProblemKind.Refused, $"{service} does not run on {node}", "See evenkeel status");
        }

        var result = await CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => new Done($"{service} is asked to restart on {node}"),
            CommitOutcome.Conflict => new Problem(ProblemKind.Refused, $"{service} is asked to restart on {node} already", "Look at evenkeel status"),
            _ => NotDone(result),
        };
    }

    public async Task<Answer<IAsyncEnumerable<LogLine>>> LogsAsync(string service, NodeName? node, int lines, bool follow, CancellationToken cancellation)
    {
        var (spec, reachable) = loop.Read(agent => (agent.Known.Spec, agent.Known.Spec?.Nodes.Values
            .Where(one => one.Role == NodeRole.Full && (one.Name == configuration.Node || agent.Known.IsAlive(one.Name))).ToList() ?? []));
        if (spec is null || !spec.Services.ContainsKey(service))
        {
            return Unknown("service", service, spec?.Services.Keys ?? []);
        }

        if (node is not { } only)
        {
            return new(logs.OfAllAsync(reachable, service, lines, follow, cancellation), null);
        }

        return spec.Nodes.TryGetValue(only, out var one)
            ? await logs.OfAsync(one, service, lines, follow, cancellation).ConfigureAwait(false)
            : Unknown("node", only.Value, spec.Nodes.Keys.Select(name => name.Value));
    }

    private static Problem Unknown(string what, string name, IEnumerable<string> known) =>
        new(ProblemKind.Unknown, $"there is no {what} '{name}'", $"Known: {string.Join(", ", known)}");

    private static Problem NotDone(CommitResult result) => result.Outcome == CommitOutcome.Indeterminate
        ? new Problem(ProblemKind.Unavailable, $"the coordination store did not answer in time, it may be done or not: {result.Reason}", "Look at evenkeel status")
        : new Problem(ProblemKind.Unavailable, $"the coordination store cannot be reached, nothing was changed: {result.Reason}", "See evenkeel status");

    /// <summary>An unknown outcome is asked for again with the same request id, which is safe, before it is told.</summary>
    private async Task<CommitResult> CommitAsync(Transaction transaction, CancellationToken cancellation)
    {
        var result = await store.CommitAsync(transaction, cancellation).ConfigureAwait(false);
        return result.Outcome == CommitOutcome.Indeterminate ? await store.CommitAsync(transaction, cancellation).ConfigureAwait(false) : result;
    }
}
