using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>What a node shall be for a service.</summary>
public enum InstanceRole
{
    None,
    /// <summary>Runs and follows, serves nobody.</summary>
    Standby,
    /// <summary>Serves. For single-active services only under a held lease.</summary>
    Active,
}

public enum InstanceStep { Nothing, Start, Stop, Promote, Demote }

/// <summary>How a service's standbys are kept, and what a takeover does: cold starts it, warm and hot promote what runs.</summary>
public abstract class RedundancyPolicy
{
    private static readonly RedundancyPolicy spread = new SpreadPolicy();
    private static readonly RedundancyPolicy cold = new ColdPolicy();
    private static readonly RedundancyPolicy following = new FollowingPolicy();

    public static RedundancyPolicy Of(ServiceSpec service) =>
        service.Activity == Activity.Spread ? spread : service.Redundancy == Redundancy.Cold ? cold : following;

    /// <summary>Whether a node without the lease runs an instance too.</summary>
    public abstract bool StandbyRuns { get; }

    /// <summary>The next step towards the role. <paramref name="facts"/> are settled: nothing is starting or stopping.</summary>
    public abstract InstanceStep Next(InstanceRole wanted, InstanceFacts facts, Epoch? epoch);

    protected static bool Runs(InstanceFacts facts) => facts.Status is InstanceStatus.Running;
    protected static InstanceStep StopIfAny(InstanceFacts facts) =>
        facts.Status is InstanceStatus.Stopped ? InstanceStep.Nothing : InstanceStep.Stop;
}

/// <summary>Every instance serves, none is exclusive (hot): takeover is nothing but to stop routing to the lost one.</summary>
public sealed class SpreadPolicy : RedundancyPolicy
{
    public override bool StandbyRuns => false;
    public override InstanceStep Next(InstanceRole wanted, InstanceFacts facts, Epoch? epoch) =>
        wanted is InstanceRole.None ? StopIfAny(facts) : Runs(facts) ? InstanceStep.Nothing : InstanceStep.Start;
}

/// <summary>One instance, started inside the lease under its epoch. What still runs under another epoch is stopped first.</summary>
public sealed class ColdPolicy : RedundancyPolicy
{
    public override bool StandbyRuns => false;
    public override InstanceStep Next(InstanceRole wanted, InstanceFacts facts, Epoch? epoch) =>
        wanted is not InstanceRole.Active ? StopIfAny(facts)
        : !Runs(facts) ? InstanceStep.Start
        : facts.Epoch == epoch ? InstanceStep.Nothing : InstanceStep.Stop;
}

/// <summary>Standbys run and follow (warm), or are in sync (hot); the lease's holder promotes its own.</summary>
public sealed class FollowingPolicy : RedundancyPolicy
{
    public override bool StandbyRuns => true;
    public override InstanceStep Next(InstanceRole wanted, InstanceFacts facts, Epoch? epoch) => wanted switch
    {
        InstanceRole.None => StopIfAny(facts),
        _ when !Runs(facts) => InstanceStep.Start,
        InstanceRole.Standby => facts.Epoch is null ? InstanceStep.Nothing : InstanceStep.Demote,
        _ => facts.Epoch == epoch ? InstanceStep.Nothing : InstanceStep.Promote,
    };
}
