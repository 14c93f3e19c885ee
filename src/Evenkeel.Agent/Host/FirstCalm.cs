using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>
/// A process that has just started is slow by fits: what runs for the first time is compiled, and where a whole cluster
/// gets its power back, everything starts at once. Until its loop has run in time for <see cref="Enough"/>, a node is not
/// ready to own anything; else the address goes from hand to hand in the first seconds. A machine that stays busy does
/// not wait longer than <see cref="Longest"/>. Once calm, always calm: this is about the start alone.
/// </summary>
internal sealed class FirstCalm
{
    private static readonly TimeSpan Enough = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan InTime = TimeSpan.FromMilliseconds(30);
    private Instant? _began;
    private Instant _last;
    private Instant _calmSince;
    private volatile bool _calm;

    public bool Reached => _calm;

    /// <summary>Called by the loop at each turn, on its thread.</summary>
    public void Turn(Instant now)
    {
        if (_calm)
        {
            return;
        }

        if (_began is null || now.Since(_last) > InTime)
        {
            _calmSince = now;
        }

        _began ??= now;
        _last = now;
        _calm = now.Since(_calmSince) >= Enough || now.Since(_began.Value) >= Longest;
    }
}
