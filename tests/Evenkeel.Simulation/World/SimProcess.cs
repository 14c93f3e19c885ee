namespace Evenkeel.Simulation.World;

/// <summary>
/// An operating system process: it takes what is posted to it one by one, in order, each a little late; while it is stopped
/// (SIGSTOP, a pause, no CPU) everything waits; when it dies, what waits is gone.
/// </summary>
public sealed class SimProcess(VirtualTime time, Chance chance)
{
    private readonly Queue<Action> waiting = new();
    private long lastDelivery;
    private int generation;
    private int stops;

    public bool Alive { get; private set; }
    public bool Stopped => stops > 0;
    /// <summary>For how many reasons it is stopped.</summary>
    public int Stops => stops;
    /// <summary>Mean extra delay of each delivery in milliseconds: a starved CPU.</summary>
    public double Starvation { get; set; }
    public int Generation => generation;

    public void Start()
    {
        generation++;
        Alive = true;
        stops = 0;
        waiting.Clear();
        lastDelivery = time.Now;
    }

    public void Die()
    {
        generation++;
        Alive = false;
        waiting.Clear();
    }

    public void Stop() => stops++;

    public void Continue()
    {
        if (stops == 0 || --stops > 0 || !Alive) return;
        var mine = generation;
        while (waiting.TryDequeue(out var next))
        {
            next();
            if (generation != mine || stops > 0) return;
        }
    }

    /// <summary>Delivers to this run of the process, after everything posted before.</summary>
    public void Post(Action what, long delay = 20_000)
    {
        if (!Alive) return;
        var mine = generation;
        var due = time.Now + delay + (Starvation > 0 ? chance.Around(Starvation) : 0);
        lastDelivery = Math.Max(lastDelivery, due);
        time.After(lastDelivery - time.Now, () =>
        {
            if (generation != mine) return;
            if (Stopped || waiting.Count > 0) waiting.Enqueue(what);
            else what();
        });
    }
}
