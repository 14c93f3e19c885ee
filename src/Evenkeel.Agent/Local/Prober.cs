using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Evenkeel.Agent.Local;

/// <summary>How one request of the prober ended.</summary>
/// <param name="Started">Time since the prober began.</param>
/// <param name="Took">Until the last byte of the answer, or until it failed.</param>
/// <param name="Connected">The front door had accepted the connection: the request was in flight there when it failed.</param>
/// <param name="Failure">Null when it succeeded.</param>
/// <param name="ServedBy">What the service said about itself (its node), where it said so.</param>
public sealed record Probe(TimeSpan Started, TimeSpan Took, bool Connected, string? Failure, string? ServedBy);

/// <summary>
/// Measures what clients see, open loop: a fresh connection and an idempotent request (GET) at every period, whether or not
/// the earlier ones have been answered, so that an outage is not hidden by a client that waits for it to end.
/// </summary>
/// <param name="target">The front door.</param>
/// <param name="period">Between the beginnings of two requests.</param>
/// <param name="connectTimeout">A connection that is not accepted within this time has failed; <see cref="ImpatientConnect"/> when null.</param>
public sealed class Prober(IPEndPoint target, TimeSpan period, TimeSpan? connectTimeout = null)
{
    /// <summary>Much less than a client's kernel waits before it asks again (1 s, RFC 6298): each lost SYN counts as a failure.</summary>
    public static readonly TimeSpan ImpatientConnect = TimeSpan.FromMilliseconds(200);

    /// <summary>A request not answered within this time has failed.</summary>
    public static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    private readonly byte[] _request = Encoding.ASCII.GetBytes(
        $"GET / HTTP/1.1\r\nHost: {target}\r\nUser-Agent: evenkeel-prober\r\nConnection: close\r\n\r\n");
    private readonly ConcurrentQueue<Probe> _probes = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private int _inFlight;

    /// <summary>Time since the prober was made; the clock of <see cref="Probe.Started"/>.</summary>
    public TimeSpan Now => _clock.Elapsed;

    /// <summary>Everything measured and not yet taken; the caller keeps it.</summary>
    public IReadOnlyList<Probe> Take()
    {
        var taken = new List<Probe>();
        while (_probes.TryDequeue(out var probe))
        {
            taken.Add(probe);
        }

        return taken;
    }

    /// <summary>
    /// Probes until cancelled, then waits for the requests still under way (each ends within its time-outs). One thread of its
    /// own keeps the pace: a pool that is busy with a cluster's start would stretch the periods.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        await Task.Factory.StartNew(
            () =>
            {
                for (var next = _clock.Elapsed; !cancellation.WaitHandle.WaitOne(Positive(next - _clock.Elapsed)); next += period)
                {
                    if (_clock.Elapsed - next > TimeSpan.FromSeconds(1))
                    {
                        next = _clock.Elapsed; // this machine slept or was starved: do not fire a burst
                    }

                    Interlocked.Increment(ref _inFlight);
                    _ = ProbeAsync();
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
        while (Volatile.Read(ref _inFlight) > 0)
        {
            await Task.Delay(5, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task ProbeAsync()
    {
        var started = _clock.Elapsed;
        var connected = false;
        string? failure = null;
        string? servedBy = null;
        try
        {
            using var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            using var connecting = new CancellationTokenSource(connectTimeout ?? ImpatientConnect);
            await socket.ConnectAsync(target, connecting.Token).ConfigureAwait(false);
            connected = true;
            // Its own: the other may have run out between the connection and here, when this process had to wait for its turn.
            using var deadline = new CancellationTokenSource(AnswerTimeout);
            await socket.SendAsync(_request, deadline.Token).ConfigureAwait(false);
            (failure, servedBy) = Judge(await ReadToEndAsync(socket, deadline.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            failure = connected ? "no answer in time" : "no connection in time";
        }
        catch (SocketException exception)
        {
            failure = exception.SocketErrorCode.ToString();
        }

        _probes.Enqueue(new Probe(started, _clock.Elapsed - started, connected, failure, servedBy));
        Interlocked.Decrement(ref _inFlight);
    }

    private static async Task<string> ReadToEndAsync(Socket socket, CancellationToken cancellation)
    {
        var buffer = new byte[4096];
        var length = 0;
        while (length < buffer.Length)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length), cancellation).ConfigureAwait(false);
            if (read == 0)
            {
                break;
            }

            length += read;
        }

        return Encoding.Latin1.GetString(buffer, 0, length);
    }

    /// <summary>A success is a complete 2xx answer; anything else says what it was.</summary>
    private static (string? Failure, string? ServedBy) Judge(string answer)
    {
        var statusLine = answer.AsSpan(0, Math.Max(0, answer.IndexOf("\r\n", StringComparison.Ordinal)));
        if (!statusLine.StartsWith("HTTP/1.1 "))
        {
            return (answer.Length == 0 ? "closed without an answer" : "no HTTP answer", null);
        }

        if (statusLine[9] != '2')
        {
            return (statusLine[9..].ToString(), null);
        }

        const string header = "\r\nX-Evenkeel-Node: ";
        var at = answer.IndexOf(header, StringComparison.OrdinalIgnoreCase);
        if (at < 0)
        {
            return (null, null);
        }

        at += header.Length;
        var end = answer.IndexOf("\r\n", at, StringComparison.Ordinal);
        return (null, end < 0 ? null : answer[at..end]);
    }

    private static TimeSpan Positive(TimeSpan span) => span > TimeSpan.Zero ? span : TimeSpan.Zero;
}
