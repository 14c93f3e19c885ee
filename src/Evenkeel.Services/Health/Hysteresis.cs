namespace Evenkeel.Services.Health;

/// <summary>Health changes only after <paramref name="rise"/> successes or <paramref name="fall"/> failures in a row.</summary>
public sealed class Hysteresis(int rise, int fall)
{
    private int _run;

    public Core.Model.Health Health { get; private set; } = Core.Model.Health.Unknown;

    /// <param name="passed">The check's verdict.</param>
    /// <param name="starting">It may still take its time: failures say nothing until it has passed.</param>
    /// <returns>True when the health changed.</returns>
    public bool Observe(bool passed, bool starting = false)
    {
        var before = Health;
        _run = passed ? Math.Max(1, _run + 1) : Math.Min(-1, _run - 1);
        if (_run >= rise)
        {
            Health = Core.Model.Health.Healthy;
        }
        else if (-_run >= fall && !(starting && Health == Core.Model.Health.Unknown))
        {
            Health = Core.Model.Health.Unhealthy;
        }

        return Health != before;
    }
}
