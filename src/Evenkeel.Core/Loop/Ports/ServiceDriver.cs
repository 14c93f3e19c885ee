using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop.Ports;

/// <summary>One instance to run here: the service, where it is reached, and under which right.</summary>
/// <param name="Spec">What to run.</param>
/// <param name="Node">This node.</param>
/// <param name="Private">Where the balancer reaches it; null when it publishes nothing.</param>
/// <param name="Epoch">Null for spread services; the fencing token of a single-active one.</param>
public sealed record InstanceOrder(ServiceSpec Spec, NodeSpec Node, PrivateEndpoint? Private, Epoch? Epoch)
{
    /// <summary>Of the spec's driver and health settings; the driver repeats it in the instance's facts.</summary>
    public ulong Version { get; init; }
    /// <summary>For services whose standbys follow the active instance.</summary>
    public ReplicationOrder? Replication { get; init; }
}

/// <summary>Whom a standby follows: the node that is active under the epoch. Port 0 where the file names none: an OCF agent knows its own.</summary>
public sealed record Upstream(NodeName Node, PrivateEndpoint Endpoint, Epoch Epoch);

/// <summary>
/// What an instance shall do with its data; of an OCF resource only <see cref="Upstream"/> and <see cref="Others"/> are said. A start with another one than before changes what runs
/// without a restart, where that is possible.
/// </summary>
public sealed record ReplicationOrder
{
    /// <summary>A standby: whom to follow; null: nobody is active now, it waits with what it has.</summary>
    public Upstream? Upstream { get; init; }
    /// <summary>An active instance: the nodes that each commit waits for.</summary>
    public IReadOnlyList<NodeName> Required { get; init; } = [];
    /// <summary>An active instance: each commit waits for so many of <see cref="Required"/>, whichever confirm first; null: for all.</summary>
    public int? Any { get; init; }
    /// <summary>An active instance: with nobody in <see cref="Required"/>, commits wait all the same.</summary>
    public bool Strict { get; init; }
    /// <summary>A volume's writer: asynchronous legs on which somebody may take over now, so that they may lack no more than their backlog.</summary>
    public IReadOnlyList<NodeName> Held { get; init; } = [];
    /// <summary>There was never any data: where there is none, the active instance makes it. Else having none is a failure.</summary>
    public bool Initialise { get; init; }
    /// <summary>The only data that may be used; null while none is known.</summary>
    public string? Data { get; init; }
    /// <summary>An active instance that starts on data at rest: it must have seen this epoch, else it lacks what was acknowledged elsewhere; null: any will do.</summary>
    public Epoch? Wrote { get; init; }
    /// <summary>The other nodes that run, or shall run, an instance: what they still need is kept for them.</summary>
    public IReadOnlyList<NodeName> Others { get; init; } = [];

    public bool Equals(ReplicationOrder? other) => other is not null && Upstream == other.Upstream && Required.SequenceEqual(other.Required)
        && Any == other.Any && Held.SequenceEqual(other.Held) && Strict == other.Strict && Initialise == other.Initialise && Data == other.Data && Wrote == other.Wrote && Others.SequenceEqual(other.Others);

    public override int GetHashCode() => HashCode.Combine(Upstream, Required.Count, Strict, Initialise, Data, Others.Count);
}

/// <summary>How an action ended; expected failures are results, not exceptions.</summary>
public sealed record ActionResult(bool Succeeded, string? Reason = null)
{
    /// <summary>A failure that another try does not mend: where the service is not tried again until something changes.</summary>
    public Ban Ban { get; init; }

    public static readonly ActionResult Success = new(true);
    public static ActionResult Failure(string reason) => new(false, reason);
}

/// <summary>
/// Starts, stops, checks, promotes and demotes one kind of service. Every action is idempotent: starting what runs and
/// stopping what is stopped succeeds. A start adopts what an earlier agent left, and replaces what runs from another order. Each ends within the time that the spec states, or fails; cancellation may leave the
/// instance in any state, and a following stop must then work.
/// </summary>
public interface IServiceDriver : IAsyncDisposable
{
    /// <summary>Raised on any thread whenever what is known of an instance changes (exit, health, position).</summary>
    event Action<InstanceFacts>? Changed;

    Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation);
    /// <summary>Tells what data of a replicated service lies here (none counts too), without starting or changing anything; nothing while it runs.</summary>
    Task<ActionResult> LookAsync(InstanceOrder order, CancellationToken cancellation) => Task.FromResult(ActionResult.Success);
    Task<ActionResult> StopAsync(string service, CancellationToken cancellation);
    Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation);
    Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation);

    /// <summary>What runs here now, also what an earlier agent left (to adopt or to sweep).</summary>
    IReadOnlyList<InstanceFacts> List();
}
