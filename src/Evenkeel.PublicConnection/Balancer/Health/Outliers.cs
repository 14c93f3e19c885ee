using System.Runtime.CompilerServices;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Health;

/// <summary>
/// Compares what requests met at the destinations of a service, second by second: one that answers at least half with errors while
/// the others hardly do, or takes four times as long as they for two seconds in a row, gets nothing for a while. Checks do not see this: they
/// ask an easy question. Only a difference counts, for what all do alike is no destination's fault; and at most half of them
/// are left at a time.
/// </summary>
internal sealed class Outliers(BackendPool pool)
{
    public const long Window = 1000;
    private const int LeastAnswers = 10, LeastTimes = 20, SlowWindows = 2, Factor = 4;
    private const long Shortest = 5_000, Longest = 60_000;
    private static readonly TimeSpan least = TimeSpan.FromMilliseconds(100);

    private sealed class Past
    {
        public long Answers, Errors, EjectedAt;
        public long[] Times = [];
        public int Slow, Row;
    }

    private sealed record Sample(Backend Backend, Past Past, long Answers, long Errors, long Timed, TimeSpan Median);

    private readonly ConditionalWeakTable<Backend, Past> pasts = [];
    private long next;

    public void Tick(long now)
    {
        if (now < next) return;
        // The first window begins with the first look.
        var first = next == 0;
        next = now + Window;
        foreach (var service in pool.All.Where(static one => one.Serving).GroupBy(static one => one.Destination.Service, StringComparer.Ordinal))
        {
            var samples = service.Select(Take).ToList();
            if (!first && samples.Count > 1) Judge(samples, now);
        }
    }

    private Sample Take(Backend backend)
    {
        var past = pasts.GetValue(backend, static _ => new Past());
        var (answers, errors, times) = (backend.Answers, backend.ServerErrors, backend.Latency.Counts());
        var sample = new Sample(backend, past, answers - past.Answers, errors - past.Errors, LatencyHistogram.Since(past.Times, times, 0.5, out var median), median);
        (past.Answers, past.Errors, past.Times) = (answers, errors, times);
        return sample;
    }

    private void Judge(List<Sample> samples, long now)
    {
        var free = samples.Count / 2 - samples.Count(one => one.Backend.EjectedUntil > now);
        foreach (var one in samples)
        {
            if (one.Backend.EjectedUntil > now || one.Backend.Routes.Any(static route => !route.Door.Http.Outliers)) continue;
            one.Past.Slow = IsSlow(one, samples) ? one.Past.Slow + 1 : 0;
            if (!Fails(one, samples) && one.Past.Slow < SlowWindows)
            {
                if (one.Past.Row > 0 && now - one.Past.EjectedAt > 2 * Longest) one.Past.Row = 0;
                continue;
            }
            if (free-- <= 0) return;
            one.Past.Slow = 0;
            one.Past.EjectedAt = now;
            pool.EjectFor(one.Backend, Math.Min(Longest, Shortest << Math.Min(4, one.Past.Row++)));
        }
    }

    private static bool Fails(Sample one, List<Sample> samples)
    {
        if (one.Answers < LeastAnswers || 2 * one.Errors < one.Answers) return false;
        var (answers, errors) = (samples.Sum(static sample => sample.Answers) - one.Answers, samples.Sum(static sample => sample.Errors) - one.Errors);
        return answers >= LeastAnswers && 10 * errors <= answers;
    }

    private static bool IsSlow(Sample one, List<Sample> samples)
    {
        // Whoever is bound to an instance asks it his own questions: there, slow is not the instance's doing.
        if (one.Timed < LeastTimes || one.Backend.Routes.Any(static route =>
                route.Door.Http.Sticky is not null || route.Route.Balance is BalancePolicy.SourceHash or BalancePolicy.HeaderHash or BalancePolicy.CookieHash)) return false;
        var others = samples.Where(sample => sample != one && sample.Timed >= LeastTimes).Select(static sample => sample.Median).Order().ToArray();
        return others.Length > 0 && one.Median > Factor * others[others.Length / 2] && one.Median - others[others.Length / 2] > least;
    }
}
