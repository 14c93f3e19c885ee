using Evenkeel.EndToEnd.Lab;
using Evenkeel.Services.Ledger;
using Xunit;

namespace Evenkeel.EndToEnd;

/// <summary>
/// One of the two things that must never happen was seen. No busy machine excuses it: such a failure is neither played again by a lab
/// nor given a second attempt by <c>./test</c>.
/// </summary>
public sealed class SafetyViolationException(string message) : Exception(message);

/// <summary>What must never happen, asserted apart from what may be late.</summary>
internal static class Safety
{
    // Whoever takes over waits until the other's lease is over, which is longer than this.
    private const double TakeoverMilliseconds = 100;

    public static void NothingIsLost(LedgerVerdict verdict) => NothingIsLost(verdict.Lost);
    public static void NothingIsLost<T>(IReadOnlyList<T> lost) => Empty(lost, "acknowledged writes are lost");

    public static void OnePrimary(IReadOnlyList<string> contradictions) => Empty(contradictions, "two primaries wrote");

    /// <summary>The owners of an address, in the order in which they were seen, are the expected ones, and never two at once.</summary>
    public static void Owners(IReadOnlyList<string> expected, Sighting seen)
    {
        OneOwner(seen);
        Assert.Equal(expected, seen.Owners);
    }

    /// <summary>At no time two of an address.</summary>
    public static void OneOwner(Sighting seen)
    {
        // Two that both answer are heard in turns.
        var changes = seen.Claims.Zip(seen.Claims.Skip(1)).Where(pair => pair.First.Hardware != pair.Second.Hardware).ToList();
        Empty([.. changes.Zip(changes.Skip(1)).Where(pair => pair.Second.Second.At - pair.First.Second.At < TakeoverMilliseconds)
            .Select(pair => FormattableString.Invariant($"{pair.First.First.Hardware} and {pair.Second.First.Hardware} at {pair.First.Second.At:F0}"))], "an address had two owners");
    }

    private static void Empty<T>(IReadOnlyList<T> found, string what)
    {
        if (found.Count > 0) throw new SafetyViolationException($"{what}: {string.Join(", ", found.Take(20))}{(found.Count > 20 ? $" and {found.Count - 20} more" : "")}");
    }
}
