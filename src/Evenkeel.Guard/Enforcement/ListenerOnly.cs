using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Guard.Enforcement;

/// <summary>Enforces nothing but listeners, which the agent's death ends: refuses every other door and every launch.</summary>
internal sealed class ListenerOnly : IEnforcer
{
    private readonly Queue<LaunchResult> _refused = new();

    public IReadOnlyList<string> Missing { get; } = ["virtual IPs and services are not enforced"];
    public int Descriptor => -1;
    public IDoor DoorOf(ResourceId resource, Epoch epoch, Core.PrivateConnection.Enforcement door) => new RefusedDoor("this guard opens listeners only");
    public void Launch(LaunchRequest request) => _refused.Enqueue(new LaunchResult(request, 0, "this guard starts no processes"));
    public string? Signal(string instance, int number, bool tree) => null;
    public void Advance(Instant now, Action<GuardEvent> happened, Action<string> warning)
    {
        while (_refused.TryDequeue(out var result)) happened(result);
    }

    public void Dispose() { }
}

/// <summary>A door that never opens, with its reason.</summary>
internal sealed class RefusedDoor(string reason) : IDoor
{
    public string? Open(Instant until) => reason;
    public string? Renew(Instant until) => reason;
    public string? Close() => null;
}
