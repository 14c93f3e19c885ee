using System.Diagnostics;
using System.Net;
using Evenkeel.Core.Volumes;

namespace Evenkeel.Agent.Volumes;

/// <summary>Whom a leg turned away, the last few, for its agent's audit trail; who comes more often than the agent is told is in the leg's log alone.</summary>
/// <param name="wake">Called when there is one more.</param>
internal sealed class LegRefusals(Action wake)
{
    private const int Most = 16;
    private readonly Lock _gate = new();

    /// <summary>Another list each time that it changes.</summary>
    public IReadOnlyList<LegRefusal> Last { get; private set; } = [];

    public void Add(EndPoint? from, string reason)
    {
        lock (_gate)
        {
            // Of one tick, the second is still the later one.
            var at = Math.Max(Stopwatch.GetTimestamp(), Last is [.., { At: var before }] ? before + 1 : 0);
            Last = [.. Last.TakeLast(Most - 1), new LegRefusal(at, from?.ToString(), reason)];
        }

        wake();
    }
}
