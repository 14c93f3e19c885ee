using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>What was asked for, or why not.</summary>
public readonly record struct Answer<T>(T? Value, Problem? Problem) where T : class
{
    public static implicit operator Answer<T>(T value) => new(value, null);
    public static implicit operator Answer<T>(Problem problem) => new(null, problem);
}

/// <summary>The revision at which a spec was committed.</summary>
public sealed record Applied(long Revision);

/// <summary>
/// What the agent offers to the control API. Safe to call concurrently; each call ends within seconds (the streams that
/// follow excepted) and answers expected failures with a <see cref="Problem"/>.
/// </summary>
public interface IControlPlane
{
    Hello Hello { get; }

    Task<StatusReport> GetStatusAsync(CancellationToken cancellation);

    /// <summary>The committed spec, null before the first; from a copy that may be a moment old (apply compares its revision).</summary>
    Task<Versioned<ClusterSpec>?> GetSpecAsync(CancellationToken cancellation);

    /// <summary>The spec as this cluster would run it: a cluster on one machine maps addresses (<see cref="LocalMapping"/>); others return it unchanged.</summary>
    Answer<ClusterSpec> Adopt(ClusterSpec fromFile);

    /// <summary>Commits the spec if the committed one still has <paramref name="expectedRevision"/> (0: there is none), else refuses.</summary>
    /// <returns>The revision of the new spec, or <see cref="ProblemKind.Refused"/> when somebody else was quicker.</returns>
    Task<Answer<Applied>> ApplyAsync(ClusterSpec spec, long expectedRevision, CancellationToken cancellation);

    /// <summary>At most <paramref name="limit"/> kept events after the sequence number, then, when following, every new one until cancelled.</summary>
    IAsyncEnumerable<ClusterEvent> EventsAsync(long after, int limit, bool follow, CancellationToken cancellation);

    Task<Answer<Explanation>> ExplainAsync(string service, CancellationToken cancellation);

    /// <summary>Refuses what would leave an exclusive service without any node, unless it is <see cref="NodeMode.Active"/>.</summary>
    Task<Answer<Done>> SetNodeModeAsync(NodeName node, NodeMode mode, string reason, CancellationToken cancellation);

    /// <summary>Commits what shall become of the node's power; answers once it is committed, not once a device has confirmed (see the status).</summary>
    /// <param name="by">Who asks, in words.</param>
    Task<Answer<Done>> FenceAsync(NodeName node, FenceWish wish, string by, CancellationToken cancellation);

    /// <summary>Commits a move request; answers once it is committed, not once it is done (watch the events).</summary>
    Task<Answer<Done>> MoveAsync(ResourceId resource, NodeName to, CancellationToken cancellation);

    /// <summary>Commits that the node's instance is to be restarted; answers once it is committed, not once it is done (see the status).</summary>
    Task<Answer<Done>> RestartAsync(string service, NodeName node, CancellationToken cancellation);

    /// <summary>The last lines of a service's output on one node (null: all reachable ones), then new ones when following.</summary>
    Task<Answer<IAsyncEnumerable<LogLine>>> LogsAsync(string service, NodeName? node, int lines, bool follow, CancellationToken cancellation);
}
