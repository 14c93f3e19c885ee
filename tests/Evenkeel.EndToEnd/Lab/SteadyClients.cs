using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Clients in a namespace of their own that ask without a rest and hold connections: a request that is not answered with 200, a
/// connection that had to be made anew, an event that is missing are failures, named with what was done at that moment.
/// </summary>
internal sealed class SteadyClients(string space) : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(5), pause = TimeSpan.FromMilliseconds(3);
    private readonly CancellationTokenSource ending = new();
    private readonly ConcurrentQueue<string> failures = new();
    private readonly ConcurrentDictionary<string, long> answers = new();
    private readonly List<Task> work = [];

    /// <summary>What is being done to the cluster.</summary>
    public string Moment { get; set; } = "nothing";
    public IReadOnlyCollection<string> Failures => failures;
    /// <summary>Answers and events that each client has had.</summary>
    public IReadOnlyDictionary<string, long> Answers => answers;

    /// <summary>Asks again and again, by one connection for ever.</summary>
    public void AskByOneConnection(string name, string url, int httpVersion = 1) => Begin(name, async () =>
    {
        using var client = Client(out var connections);
        while (!ending.IsCancellationRequested)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url) { Version = new Version(httpVersion, httpVersion == 1 ? 1 : 0), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            await AskAsync(name, client, request);
            if (connections() > 1) throw new IOException("the connection was cut: it had to be made anew");
        }
    });

    /// <summary>Asks again and again, by a new connection each time.</summary>
    public void AskByNewConnections(string name, string url) => Begin(name, async () =>
    {
        using var client = Client(out _);
        while (!ending.IsCancellationRequested)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.ConnectionClose = true;
            await AskAsync(name, client, request);
        }
    });

    /// <summary>Takes numbered events (the example service's) of one answer that has no end.</summary>
    public void Listen(string name, string url, int httpVersion = 1) => Begin(name, async () =>
    {
        using var client = Client(out _);
        using var request = new HttpRequestMessage(HttpMethod.Get, url) { Version = new Version(httpVersion, httpVersion == 1 ? 1 : 0), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ending.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(ending.Token));
        for (var next = 0L; ;)
        {
            var line = await reader.ReadLineAsync(ending.Token).AsTask().WaitAsync(patience, ending.Token) ?? throw new IOException("the stream ended");
            if (line.Length == 0) continue;
            if (line != string.Create(CultureInfo.InvariantCulture, $"data: {next++}")) throw new IOException($"'{line}' came where event {next - 1} was due");
            Count(name);
        }
    });

    /// <summary>All of them have had answers since now, or have failed.</summary>
    public async Task HeardAsync(CancellationToken cancellation)
    {
        var before = answers.ToDictionary();
        while (failures.IsEmpty && before.Any(one => answers[one.Key] < one.Value + 3)) await Task.Delay(10, cancellation);
    }

    public async Task EndAsync()
    {
        await ending.CancelAsync();
        await Task.WhenAll(work);
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        ending.Dispose();
    }

    private void Begin(string name, Func<Task> ask)
    {
        answers[name] = 0;
        work.Add(Task.Run(async () =>
        {
            try
            {
                await ask();
            }
            catch (OperationCanceledException) when (ending.IsCancellationRequested)
            {
                // The end of the test.
            }
            catch (Exception failure) when (failure is HttpRequestException or IOException or OperationCanceledException or TimeoutException)
            {
                failures.Enqueue($"{name}, after {answers[name]} answers, during '{Moment}': {failure.GetBaseException().Message}");
            }
        }));
    }

    private async Task AskAsync(string name, HttpClient client, HttpRequestMessage request)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ending.Token);
        limit.CancelAfter(patience);
        using var answer = await client.SendAsync(request, limit.Token);
        if (answer.StatusCode != HttpStatusCode.OK) throw new HttpRequestException($"answered with {(int)answer.StatusCode}");
        Count(name);
        // Two processors carry the cluster and all of these.
        await Task.Delay(pause, ending.Token);
    }

    private void Count(string name) => answers.AddOrUpdate(name, 1, static (_, count) => count + 1);

    private HttpClient Client(out Func<int> connections)
    {
        var made = 0;
        connections = () => Volatile.Read(ref made);
        return new HttpClient(Handler(space, () => Interlocked.Increment(ref made))) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Connects from within the namespace; believes the certificates that the tests make for themselves.</summary>
    public static SocketsHttpHandler Handler(string space, Action? connecting = null) => new()
    {
        UseProxy = false,
        MaxConnectionsPerServer = 1,
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        SslOptions = new() { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject.EndsWith(".example", StringComparison.Ordinal) == true },
        ConnectCallback = async (context, cancellation) =>
        {
            connecting?.Invoke();
            var socket = NetworkSpace.In(space, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
            try
            {
                await socket.ConnectAsync(context.DnsEndPoint, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    };
}
