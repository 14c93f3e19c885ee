using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Instances;

/// <summary>One service's instance on this node, and what is being done to it.</summary>
public sealed class LocalInstance(string service)
{
    private static readonly TimeSpan firstBackOff = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan longestBackOff = TimeSpan.FromSeconds(10);

    public string Service => service;
    public InstanceFacts Facts { get; internal set; } = new(service, InstanceStatus.Stopped, Health.Unknown);
    /// <summary>What others are told: a start that was ordered counts before its driver has said anything.</summary>
    public InstanceFacts Said => Action switch
    {
        StartInstance when Facts.Status is InstanceStatus.Stopped or InstanceStatus.Failed => Facts with { Status = InstanceStatus.Starting },
        // An order to follow that is under way counts: who says that it follows nobody must not begin to a moment later.
        StartInstance { Order.Replication.Upstream: { } upstream } when Facts.Replication is { Upstream: null } data => Facts with { Replication = data with { Upstream = upstream.Node } },
        _ => Facts,
    };
    /// <summary>The action under way; at most one an instance.</summary>
    public InstanceAction? Action { get; internal set; }
    public int Failures { get; private set; }
    public TimeSpan NotBefore { get; private set; }
    /// <summary>Since when it is to be stopped or replaced but may finish its running work.</summary>
    public TimeSpan? DrainingSince { get; internal set; }
    /// <summary>When its data at rest was last looked at.</summary>
    public TimeSpan? LookedAt { get; internal set; }
    /// <summary>What it was told last to do with its data, and did.</summary>
    public ReplicationOrder? Told { get; internal set; }
    /// <summary>The same, whether or not it did.</summary>
    public ReplicationOrder? Tried { get; internal set; }
    /// <summary>Revision of the latest request for a restart for which it was stopped.</summary>
    public long StoppedFor { get; internal set; } = -1;
    /// <summary>Why it is not started or promoted again, until its spec has another version than this or somebody asks for it.</summary>
    internal (Ban Where, ulong Version, string Why)? Banned { get; private set; }
    private (ServiceSpec? Spec, ulong Version) version;

    /// <summary>The version that shall run, worked out once for each spec.</summary>
    internal ulong VersionOf(ServiceSpec spec)
    {
        if (!ReferenceEquals(spec, version.Spec)) version = (spec, InstanceVersion.Of(spec));
        return version.Version;
    }

    /// <summary>By the last spec that had the service: what was taken out of the file still ends in its order.</summary>
    internal IReadOnlyList<string> DependsOn { get; set; } = [];

    internal bool ServingAnnounced { get; set; }

    internal void Failed(TimeSpan awake)
    {
        var backOff = firstBackOff * Math.Pow(2, Math.Min(Failures++, 10));
        NotBefore = awake + (backOff < longestBackOff ? backOff : longestBackOff);
    }

    internal void Ban(Ban where, ulong version, string why) => Banned = (where, version, why);

    internal void Pardon()
    {
        Banned = null;
        Worked();
    }

    internal void Worked()
    {
        Failures = 0;
        NotBefore = TimeSpan.Zero;
    }
}
