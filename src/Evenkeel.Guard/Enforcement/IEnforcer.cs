using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Guard.Enforcement;

/// <summary>
/// What this machine lets the guard enforce. All calls come from the main thread (children are forked from it, so that their
/// parent-death signal follows the process) and return at once.
/// </summary>
internal interface IEnforcer : IDisposable
{
    /// <summary>Protections that are not permitted here, in words; empty is best.</summary>
    IReadOnlyList<string> Missing { get; }

    /// <summary>Readable when <see cref="Advance"/> has something to do before the next tick; -1 for never.</summary>
    int Descriptor { get; }

    /// <summary>A closed door of its own for this lease.</summary>
    IDoor DoorOf(ResourceId resource, Epoch epoch, Core.PrivateConnection.Enforcement door);

    /// <summary>Begins to start the request; exactly one <see cref="LaunchResult"/> follows from <see cref="Advance"/>.</summary>
    void Launch(LaunchRequest request);

    /// <returns>Null when sent; an instance that is gone already is no error.</returns>
    string? Signal(string instance, int number, bool tree);

    /// <summary>A peer was silent and is heard again: neighbours may have missed whose the addresses are.</summary>
    void AnnounceAgain(Instant now) { }

    /// <summary>
    /// Does what is due (announcements, reaping) and reports what has come of it since the last call. An instance's exit never
    /// comes before its launch result.
    /// </summary>
    /// <param name="now">Read just before the call.</param>
    /// <param name="happened"><see cref="LaunchResult"/> and <see cref="InstanceExited"/>.</param>
    /// <param name="warning">Words for the operator.</param>
    void Advance(Instant now, Action<GuardEvent> happened, Action<string> warning);
}
