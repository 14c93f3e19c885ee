using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Guard.Enforcement;

/// <summary>Enforces nothing but listeners, which the agent's death ends: refuses every other door and every launch.</summary>
internal sealed class ListenerOnly : IEnforcer
{
    public IReadOnlyList<string> Missing { get; } = ["virtual IPs and services are not enforced"];
    public IDoor DoorOf(ResourceId resource, Epoch epoch, Core.PrivateConnection.Enforcement door) => new Refused();
    public (int ProcessId, string? Error) Launch(LaunchRequest request) => (0, "this guard starts no processes");
    public string? Signal(string instance, int number, bool tree) => null;
    public void Reap(Action<InstanceExit> exited) { }
    public void Dispose() { }

    private sealed class Refused : IDoor
    {
        public string? Open(Instant until) => "this guard opens listeners only";
        public string? Renew(Instant until) => Open(until);
        public string? Close() => null;
    }
}
