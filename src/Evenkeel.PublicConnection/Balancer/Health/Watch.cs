using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Http;

namespace Evenkeel.PublicConnection.Balancer.Health;

/// <summary>
/// Looks at every destination each 20 ms (100 ms while nobody asks): starts the checks that are due, and takes requests away from a destination
/// that has become silent. A slow request alone is no sign of sickness, so silence means that the destination has answered
/// nobody at all, neither a request nor a check, for a while; that tells a hung or cut destination from a slow page in
/// about 200 ms, before the checks have counted to their verdict. Without checks above TCP silence may be nothing but one slow page or a long
/// poll: such a destination is knocked at, and left only when it takes no connection. Where all are silent it is not they that hang, but everybody waits
/// for a processor: to ask the next one would be one more request to wait for.
/// </summary>
internal sealed class Watch(BackendPool pool, TimeSpan uncheckedSilence, TimeSpan idleTimeout) : IAsyncDisposable
{
    // A door to which nobody comes is looked at less often; the first request ends that within a period.
    private const int Period = 20, IdlePeriod = 100;
    // Without requests, checks only keep the picture warm.
    private const long BusyFor = 10_000, IdleEvery = 1_000;
    // So many starved checks in a row count as failed after all: then something is wrong beyond a busy moment.
    private const int MostStarved = 10;

    private const int KnockEvery = 1_000;
    private static readonly HealthSpec knock = new() { Kind = ProbeKind.Tcp, Timeout = TimeSpan.FromMilliseconds(500) };

    private sealed class Probe
    {
        public long NextAt, BusyUntil, SeenRequests, KnockAt;
        public int Starved;
        public volatile bool Running, Knocking, TakesNobody;
    }

    private readonly Outliers outliers = new(pool);
    private readonly System.Runtime.CompilerServices.ConditionalWeakTable<Backend, Probe> probes = [];
    private readonly CancellationTokenSource stopping = new();
    private Task loop = Task.CompletedTask;

    public void Start() => loop = RunAsync();

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync().ConfigureAwait(false);
        await loop.ConfigureAwait(false);
        stopping.Dispose();
    }

    private async Task RunAsync()
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Period));
        var last = Environment.TickCount64;
        var trustFrom = last;
        var idleNext = last;
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token).ConfigureAwait(false))
            {
                var now = Environment.TickCount64;
                // We did not run ourselves: answers may lie unread. Silence is counted from here.
                if (now - last > 3 * Period + timer.Period.TotalMilliseconds) trustFrom = now;
                last = now;
                pool.Tick(now);
                outliers.Tick(now);
                if (now >= idleNext && idleTimeout != Timeout.InfiniteTimeSpan)
                {
                    idleNext = now + IdleEvery;
                    EndIdle(now);
                }
                var busy = false;
                foreach (var backend in pool.All)
                {
                    var probe = probes.GetValue(backend, static _ => new Probe());
                    Check(backend, probe, now);
                    LeaveSilent(backend, probe, now, trustFrom);
                    busy |= backend.InFlight > 0 || probe.BusyUntil >= now;
                }
                var period = TimeSpan.FromMilliseconds(busy ? Period : IdlePeriod);
                if (timer.Period != period) timer.Period = period;
            }
        }
        catch (OperationCanceledException) { }
    }

    private void EndIdle(long now)
    {
        foreach (var backend in pool.All)
            if (backend.InFlight > 0) backend.Cancel(CancelReason.Idle, attempt => now - attempt.LastMoved >= idleTimeout.TotalMilliseconds);
    }

    private void Check(Backend backend, Probe probe, long now)
    {
        if (backend.Health is not { } health || !ActiveCheck.Applies(health) || !backend.Serving) return;
        if (backend.Requests != probe.SeenRequests || backend.InFlight > 0)
        {
            if (probe.BusyUntil < now) probe.NextAt = now;
            probe.SeenRequests = backend.Requests;
            probe.BusyUntil = now + BusyFor;
        }
        if (probe.Running || now < probe.NextAt) return;
        var every = (long)health.Every.TotalMilliseconds;
        probe.NextAt = now + (probe.BusyUntil >= now || !backend.Checks.Healthy ? every : Math.Max(every, IdleEvery));
        probe.Running = true;
        _ = CheckAsync(backend, probe, health);
    }

    private async Task CheckAsync(Backend backend, Probe probe, HealthSpec health)
    {
        var result = await ActiveCheck.RunAsync(backend, health).ConfigureAwait(false);
        probe.Starved = result == CheckResult.Nothing ? probe.Starved + 1 : 0;
        if (result != CheckResult.Nothing || probe.Starved > MostStarved) pool.Checked(backend, result == CheckResult.Healthy);
        probe.Running = false;
    }

    private void LeaveSilent(Backend backend, Probe probe, long now, long trustFrom)
    {
        if (backend.InFlight == 0) return;
        var patience = Patience(backend);
        if (!SaysNothing(backend))
        {
            probe.TakesNobody = false;
            return;
        }
        if (!backend.CheckedByHttp && !probe.Knocking && now >= probe.KnockAt && backend.Any(attempt => now - attempt.StartedAt >= patience))
        {
            (probe.Knocking, probe.KnockAt) = (true, now + KnockEvery);
            _ = KnockAsync(backend, probe);
        }
        if (!IsSilent(backend)) return;
        Predicate<Backend> answers = other => other != backend && !IsSilent(other);
        var left = backend.Cancel(CancelReason.Silent, attempt =>
            now - attempt.StartedAt >= patience && attempt.MayGoElsewhere && attempt.Route.AnyAvailable(answers) && attempt.Route.Budget.HasAny);
        if (left > 0) pool.Eject(backend);

        bool IsSilent(Backend one) => SaysNothing(one) && (one.CheckedByHttp || probes.TryGetValue(one, out var its) && its.TakesNobody);
        bool SaysNothing(Backend one) => one.InFlight > 0 && now - Math.Max(one.LastLife, trustFrom) >= Patience(one);
    }

    private static async Task KnockAsync(Backend backend, Probe probe)
    {
        probe.TakesNobody = await ActiveCheck.RunAsync(backend, knock).ConfigureAwait(false) == CheckResult.Unhealthy;
        probe.Knocking = false;
    }

    private long Patience(Backend backend) => (long)(backend.CheckedByHttp
        ? Math.Clamp(2 * backend.Health!.Every.TotalMilliseconds, 150, 400)
        : uncheckedSilence.TotalMilliseconds);
}
