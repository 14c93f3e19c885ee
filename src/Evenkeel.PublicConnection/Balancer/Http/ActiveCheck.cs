using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Checks one destination over the private connection, as often as the service's health block says.</summary>
internal sealed class ActiveCheck : IDisposable
{
    private readonly Upstream _upstream;
    private readonly HealthSpec _health;
    private readonly HttpMessageInvoker _client;
    private readonly CancellationTokenSource _stop = new();

    public ActiveCheck(Upstream upstream, HealthSpec health)
    {
        _upstream = upstream;
        _health = health;
        _client = UpstreamClient.Create(TimeSpan.Zero);
        _ = RunAsync();
    }

    public void Dispose() => _stop.Cancel();

    private async Task RunAsync()
    {
        var run = 0;
        using var client = _client;
        using var timer = new PeriodicTimer(_health.Every);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                var began = System.Diagnostics.Stopwatch.GetTimestamp();
                var passed = await CheckAsync().ConfigureAwait(false);
                if (!passed && System.Diagnostics.Stopwatch.GetElapsedTime(began) > 3 * _health.Timeout)
                {
                    continue; // this process was starved; that says nothing of the destination
                }

                run = passed ? Math.Max(1, run + 1) : Math.Min(-1, run - 1);
                if (passed)
                {
                    _upstream.OnSign();
                }

                if (run >= _health.Rise)
                {
                    _upstream.OnCheck(Health.Healthy);
                }
                else if (-run >= _health.Fall)
                {
                    _upstream.OnCheck(Health.Unhealthy);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The destination is gone from the table.
        }
    }

    private async Task<bool> CheckAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(_health.Timeout);
        try
        {
            if (_health.Kind == ProbeKind.Http)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, _upstream.Prefix.TrimEnd('/') + (_health.Path ?? "/"));
                using var answer = await _client.SendAsync(request, limit.Token).ConfigureAwait(false);
                return answer.IsSuccessStatusCode;
            }

            using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
            await socket.ConnectAsync(_upstream.Destination.Endpoint.ToIPEndPoint(), limit.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception exception) when (exception is HttpRequestException or System.Net.Sockets.SocketException
            || (exception is OperationCanceledException && !_stop.IsCancellationRequested))
        {
            return false;
        }
    }
}
