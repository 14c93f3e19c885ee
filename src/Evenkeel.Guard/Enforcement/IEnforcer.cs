using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Guard.Enforcement;

/// <summary>
/// What this machine lets the guard enforce. All calls come from the main thread (children are forked from it, so that their
/// parent-death signal follows the process) and return at once.
/// </summary>
internal interface IEnforcer : IDisposable
{
    /// <summary>Protections that are not permitted here, in words; empty is best.</summary>
    IReadOnlyList<string> Missing { get; }

    /// <summary>A closed door of its own for this lease.</summary>
    IDoor DoorOf(ResourceId resource, Epoch epoch, Core.PrivateConnection.Enforcement door);

    /// <returns>Process id zero and the reason when it could not be started.</returns>
    (int ProcessId, string? Error) Launch(LaunchRequest request);

    /// <returns>Null when sent; an instance that is gone already is no error.</returns>
    string? Signal(string instance, int number, bool tree);

    /// <summary>Reports every instance that has exited since the last call.</summary>
    void Reap(Action<InstanceExit> exited);
}

/// <param name="ExitCode">128 + signal number when a signal ended it.</param>
internal readonly record struct InstanceExit(string Instance, int ProcessId, int ExitCode);
