using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Enforcement;

/// <summary>
/// What a lease lets through: a virtual IP's traffic, the processes of a single-active service. A door is open only while its
/// lease runs. All calls come from the guard's main thread, are synchronous and fast (well under a millisecond is the aim),
/// idempotent, and never throw for an expected failure: they return null when done, else the reason in words.
/// </summary>
public interface IDoor
{
    /// <summary>Opens the door; the kernel closes it by itself at <paramref name="until"/> where it can (nftables time-out, valid_lft).</summary>
    /// <returns>Null, or why the door is not open (then the lease is given back).</returns>
    string? Open(Instant until);

    /// <summary>The lease now runs until <paramref name="until"/> (never earlier than before); re-arms what the kernel enforces.</summary>
    string? Renew(Instant until);

    /// <summary>Closes the door at once. A closed door stays closed: a later epoch gets a door of its own.</summary>
    /// <returns>Null once nothing passes any more; a reason means that something may still pass, and the call is repeated.</returns>
    string? Close();
}
