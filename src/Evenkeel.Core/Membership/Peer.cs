using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Membership;

/// <summary>One peer as this agent hears it; all times are on the agent's awake clock.</summary>
public sealed class Peer(NodeName name, bool twoWay)
{
    private ulong runBefore;
    private TimeSpan? echoedAt;
    private readonly Dictionary<string, InstanceFacts> withData = new(StringComparer.Ordinal);

    public NodeName Name => name;
    public Beat? Last { get; private set; }
    public TimeSpan HeardAt { get; private set; }
    /// <summary>Heard, and hears us.</summary>
    public bool Alive { get; private set; }
    /// <summary>When <see cref="Alive"/> last changed.</summary>
    public TimeSpan Since { get; private set; }
    /// <summary>In words, while not alive.</summary>
    public string Why { get; private set; } = "never heard";

    // A beat of the run before came late, unless the run that we took for the newer one falls silent: then that was the late one
    // (we had been restarted in between and could not tell), and must not keep us deaf to the living one for ever.
    internal bool Accepts(Beat beat, TimeSpan awake, TimeSpan detection) =>
        Last is null || (beat.Session == Last.Session ? beat.Sequence > Last.Sequence : beat.Session != runBefore || awake - HeardAt >= detection);

    internal void Receive(Beat beat, TimeSpan awake)
    {
        if (Last is not null && Last.Session != beat.Session)
        {
            runBefore = Last.Session;
            // A restarted agent needs a beat or two to hear us again; until then it lives on its predecessor's echo.
            if (echoedAt is not null) echoedAt = awake;
        }
        Last = beat;
        HeardAt = awake;
        foreach (var instance in beat.Facts.Instances)
            if (instance is { Replication.Data: not null, Position: not null }) withData[instance.Service] = instance;
            else if (instance.Replication is not null) withData.Remove(instance.Service);
    }

    /// <summary>What it last said of its copy of a replicated service's data. A node that comes back has not looked at it yet.</summary>
    public InstanceFacts? CopyOf(string service) => withData.GetValueOrDefault(service);

    internal void Echoed(TimeSpan ourBeatLeftAt)
    {
        if (echoedAt is null || ourBeatLeftAt > echoedAt) echoedAt = ourBeatLeftAt;
    }

    /// <summary>True when liveness changed.</summary>
    internal bool Judge(TimeSpan awake, TimeSpan detection, TimeSpan echoPatience)
    {
        var silent = Last is null || awake - HeardAt >= detection;
        var deaf = twoWay && (echoedAt is null || awake - echoedAt >= echoPatience);
        Why = silent ? "not heard" : deaf ? "heard, but does not hear us" : "";
        if (Alive == (!silent && !deaf)) return false;
        Alive = !Alive;
        Since = awake;
        return true;
    }
}
