using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// What this balancer knows of one destination, across route tables: the controller's word, its own checks, and how it has
/// answered lately.
/// </summary>
#pragma warning disable CA1001 // The token's source is never disposed: requests hold its token, and it owns no timer or handle.
internal sealed class Upstream(Destination destination)
#pragma warning restore CA1001
{
    private CancellationTokenSource _down = new();
    private volatile bool _failsChecks;
    private long _lastSign = Stopwatch.GetTimestamp();
    private int _inFlight;
    private long _requests;
    private long _failures;

    public Destination Destination { get; private set; } = destination;
    public string Prefix { get; } = $"http://{destination.Endpoint}/";
    public int InFlight => Volatile.Read(ref _inFlight);
    public long Requests => Interlocked.Read(ref _requests);
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>New work may go there, as far as both the controller and our own checks say.</summary>
    public bool IsUp => Destination.State == DestinationState.Up && !_failsChecks;

    /// <summary>The controller's word alone: what is left when our own checks say that everything is down.</summary>
    public bool IsDeclaredUp => Destination.State == DestinationState.Up;

    /// <summary>Cancelled when the destination goes down: nothing waits for what may never answer.</summary>
    public CancellationToken Down => Volatile.Read(ref _down).Token;

    /// <summary>Time since it last answered anything, a check or a request.</summary>
    public TimeSpan Silence => Stopwatch.GetElapsedTime(Interlocked.Read(ref _lastSign));

    public void Update(Destination destination)
    {
        var before = Destination.State;
        Destination = destination;
        if (destination.State == DestinationState.Down && before != DestinationState.Down)
        {
            CancelWork();
        }
    }

    public void OnCheck(Health health)
    {
        var failed = health == Health.Unhealthy;
        if (failed && !_failsChecks)
        {
            _failsChecks = true;
            CancelWork();
        }
        else if (health == Health.Healthy)
        {
            _failsChecks = false;
        }
    }

    public void OnSign() => Interlocked.Exchange(ref _lastSign, Stopwatch.GetTimestamp());

    public void Begin()
    {
        Interlocked.Increment(ref _inFlight);
        Interlocked.Increment(ref _requests);
    }

    public void End(bool failed)
    {
        Interlocked.Decrement(ref _inFlight);
        if (failed)
        {
            Interlocked.Increment(ref _failures);
        }
    }

    private void CancelWork()
    {
        // Not disposed: requests still hold its token.
        var old = Interlocked.Exchange(ref _down, new CancellationTokenSource());
        old.CancelAsync();
    }
}
