namespace Evenkeel.Services.Health;

/// <summary>Health changes only after <paramref name="rise"/> successes or <paramref name="fall"/> failures in a row.</summary>
public sealed class Hysteresis(int rise, int fall)
{
    private int _run;

    public Core.Model.Health Health { get; private set; } = Core.Model.Health.Unknown;

    /// <returns>True when the health changed.</returns>
    public bool Observe(bool passed)
    {
        var before = Health;
        _run = passed ? Math.Max(1, _run + 1) : Math.Min(-1, _run - 1);
        if (_run >= rise)
        {
            Health = Core.Model.Health.Healthy;
        }
        else if (-_run >= fall)
        {
            Health = Core.Model.Health.Unhealthy;
        }

        return Health != before;
    }
}
