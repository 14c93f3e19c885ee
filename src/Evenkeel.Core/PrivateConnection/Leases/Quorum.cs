using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// Who votes, and how many of them decide. Two majorities always share a voter: that one voter's promise and wait is what
/// keeps two owners apart. Voters may be changed one at a time only (then every old majority meets every new one).
/// </summary>
internal sealed class Quorum(IReadOnlyList<NodeName> voters, bool majority = true)
{
    public const int MaximumVoters = 64;

    public IReadOnlyList<NodeName> Voters { get; } = voters.Count <= MaximumVoters
        ? voters : throw new ArgumentException($"At most {MaximumVoters} guards vote.", nameof(voters));

    /// <summary>How many voters decide; never zero, so that no voters means no owners.</summary>
    public int Needed { get; } = majority ? voters.Count / 2 + 1 : 1;

    /// <summary>
    /// Until when a majority's rights all run: the end of the k-th longest of them, on each clock. Null without a majority.
    /// </summary>
    public Instant? HeldUntil(IReadOnlyDictionary<NodeName, Instant> deadlines)
    {
        Span<Instant> sorted = stackalloc Instant[Voters.Count];
        var count = Collect(deadlines, sorted);
        if (count < Needed) return null;
        sorted[..count].Sort(static (a, b) => b.BootNanoseconds.CompareTo(a.BootNanoseconds));
        var end = sorted[0];
        foreach (var deadline in sorted[1..Needed])
            end = new(Math.Min(end.BootNanoseconds, deadline.BootNanoseconds), Math.Min(end.RawNanoseconds, deadline.RawNanoseconds));
        return end;
    }

    /// <summary>When a majority's waits are all over: the end of the k-th shortest of them, on each clock. Null without a majority.</summary>
    public Instant? WaitedUntil(IReadOnlyDictionary<NodeName, Instant> waits)
    {
        Span<Instant> sorted = stackalloc Instant[Voters.Count];
        var count = Collect(waits, sorted);
        if (count < Needed) return null;
        sorted[..count].Sort(static (a, b) => a.BootNanoseconds.CompareTo(b.BootNanoseconds));
        var end = sorted[0];
        foreach (var wait in sorted[1..Needed])
            end = new(Math.Max(end.BootNanoseconds, wait.BootNanoseconds), Math.Max(end.RawNanoseconds, wait.RawNanoseconds));
        return end;
    }

    // Only those who vote now: what a former voter gave counts no more.
    private int Collect(IReadOnlyDictionary<NodeName, Instant> moments, Span<Instant> into)
    {
        var count = 0;
        foreach (var voter in Voters)
            if (moments.TryGetValue(voter, out var moment)) into[count++] = moment;
        return count;
    }
}
