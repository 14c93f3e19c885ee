using Evenkeel.Core.Model;

namespace Evenkeel.Core.Membership;

/// <summary>
/// Counts how often a node was lost lately. One that comes and goes is quarantined: it gets exclusive resources only where
/// nobody else can have them, until it has been steady for a while (safety rule 11).
/// </summary>
public sealed class FlapWatch
{
    /// <summary>So many losses within <see cref="Window"/> are flapping.</summary>
    public const int Limit = 3;
    /// <summary>
    /// Losses closer to each other than this are one: an agent that has just started compiles as it goes, and may be heard, not heard and
    /// heard again within moments.
    /// </summary>
    public static readonly TimeSpan SameTrouble = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(60);
    /// <summary>A quarantine ends after the node lived so long without a break.</summary>
    public static readonly TimeSpan Steady = TimeSpan.FromSeconds(60);

    private readonly SortedDictionary<NodeName, Queue<TimeSpan>> losses = [];

    public void Lost(NodeName node, TimeSpan awake)
    {
        if (!losses.TryGetValue(node, out var times)) losses[node] = times = new Queue<TimeSpan>();
        // By what was counted: who never stops coming and going is counted each second.
        if (times.Count > 0 && awake - times.Last() < SameTrouble) return;
        times.Enqueue(awake);
        while (times.Count > Limit) times.Dequeue();
    }

    public bool Flaps(NodeName node, TimeSpan awake) =>
        losses.TryGetValue(node, out var times) && times.Count >= Limit && awake - times.Peek() < Window;

    public void Forgive(NodeName node) => losses.Remove(node);
}
