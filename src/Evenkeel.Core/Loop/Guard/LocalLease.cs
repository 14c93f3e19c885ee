using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop.Guard;

/// <summary>A lease that this node's guard was asked for, as far as the agent knows.</summary>
public sealed class LocalLease(ResourceId resource, Epoch epoch, IReadOnlyList<Enforcement> doors)
{
    public ResourceId Resource => resource;
    public Epoch Epoch => epoch;
    public IReadOnlyList<Enforcement> Doors { get; internal set; } = doors;
    public LeasePhase Phase { get; internal set; } = LeasePhase.Acquiring;
    /// <summary>The state says that somebody else owns it, or nobody: what runs under it must end, then it is given back.</summary>
    public bool Yielding { get; internal set; }
    /// <summary>Since when its door has been taking no new connections; null while it does.</summary>
    public TimeSpan? QuietingSince { get; internal set; }
    /// <summary>What was under way through its door has ended.</summary>
    public bool Quiet { get; internal set; }
    public ListenerEnforcement? Listener => Doors.OfType<ListenerEnforcement>().FirstOrDefault();
}
