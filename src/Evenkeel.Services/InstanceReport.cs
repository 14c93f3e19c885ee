using Evenkeel.Core.Model;

namespace Evenkeel.Services;

/// <summary>The facts of one instance: changed from several threads, told once for each change.</summary>
internal sealed class InstanceReport(string service, Action<InstanceFacts> tell)
{
    private readonly Lock _gate = new();

    public InstanceFacts Facts { get; private set; } = new(service, InstanceStatus.Stopped, Core.Model.Health.Unknown);

    /// <summary>Told inside the lock: two changes are never told in the other order.</summary>
    public void Set(Func<InstanceFacts, InstanceFacts> change)
    {
        lock (_gate)
        {
            var facts = change(Facts);
            if (facts != Facts)
            {
                Facts = facts;
                tell(facts);
            }
        }
    }
}
