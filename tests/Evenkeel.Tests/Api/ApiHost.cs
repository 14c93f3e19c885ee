using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Model;
using Evenkeel.Tests.Cli;
using Evenkeel.Tests.Transport;

namespace Evenkeel.Tests.Api;

/// <summary>The real API server, over TLS on loopback, with a fake plane behind it and a model of the store.</summary>
internal sealed class ApiHost : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly TestCluster _cluster = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly ApiServer _server;
    private readonly Task[] _running;

    public ApiHost(DateTimeOffset? now = null)
    {
        Clock = new FixedTime(now ?? DateTimeOffset.UtcNow);
        Store = new ModelStore();
        Tokens = new ApiTokens(Store, "shop", Clock);
        Trail = new AuditTrail(Path.Combine(_directory.Path, "audit.jsonl"), Log.Add);
        var audit = new AuditEndpoint(Trail, new NodeName("n1"));
        var gate = new ApiGate(Tokens, new RefusalTrail(Trail, new NodeName("n1"), Clock, Log.Add));
        _server = new ApiServer(new NodeName("n1"), _cluster.Issue("n1"), gate, application => ControlServer.Map(application, new FakeControlPlane(), [audit.Map, new ApiTokenEndpoint(Tokens).Map, OpenApiDocument.Map]), Log.Add);
        Port = FreePort();
        var spec = Evenkeel.Agent.Configuration.ClusterFile.Parse(Configuration.Examples.Web).Spec! with { Api = new ApiSpec(Port), Nodes = new Dictionary<NodeName, NodeSpec> { [new NodeName("n1")] = new() { Name = new NodeName("n1"), Private = [IPAddress.Loopback] } } };
        Spec = spec;
        _running = [Tokens.RunAsync(_stop.Token), _server.FollowAsync(() => Spec, _stop.Token)];
    }

    public FixedTime Clock { get; }
    public ModelStore Store { get; }
    public ApiTokens Tokens { get; }
    public AuditTrail Trail { get; }
    public List<string> Log { get; } = [];
    public int Port { get; }
    public ClusterSpec Spec { get; set; }
    public string AuthorityFile => _directory.Write("ca.pem", _cluster.Authority.CertificatePem);
    public string Url => $"https://127.0.0.1:{Port}";

    public async Task<string> TokenAsync(string name, ApiRole role, TimeSpan? lifetime = null)
    {
        var made = (await Tokens.CreateAsync(name, role, lifetime ?? TimeSpan.FromDays(1), "a test", CancellationToken.None))!;
        // The node has heard of it.
        while (!Tokens.AreKnown) await Task.Delay(5, _stop.Token);
        while (Tokens.Find(made).Token is null && Tokens.Find(made).Why?.Contains("unknown", StringComparison.Ordinal) == true) await Task.Delay(5, _stop.Token);
        return made;
    }

    public async Task<(HttpStatusCode Code, string Body)> AskAsync(string? token, HttpMethod method, string path, string? body = null, bool again = true)
    {
        using var http = new HttpClient(new SocketsHttpHandler { SslOptions = new() { RemoteCertificateValidationCallback = (_, shown, _, _) => _cluster.Issue("n9").WhyNot(shown) is null } });
        using var request = new HttpRequestMessage(method, Url + path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        if (token is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        try
        {
            using var answer = await http.SendAsync(request, _stop.Token);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(_stop.Token));
        }
        catch (HttpRequestException) when (again)
        {
            await OpenAsync();
            return await AskAsync(token, method, path, body, again: false);
        }
    }

    /// <summary>The port is open.</summary>
    public async Task OpenAsync()
    {
        for (var limit = DateTime.UtcNow.AddSeconds(10); ; await Task.Delay(10, _stop.Token))
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, Port, _stop.Token);
                while (!Tokens.AreKnown) await Task.Delay(5, _stop.Token);
                return;
            }
            catch (SocketException) when (DateTime.UtcNow < limit)
            {
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _server.DisposeAsync();
        _cluster.Dispose();
        _directory.Dispose();
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}

/// <summary>A clock that a test moves.</summary>
internal sealed class FixedTime(DateTimeOffset now) : TimeProvider
{
    public DateTimeOffset Now { get; set; } = now;
    public override DateTimeOffset GetUtcNow() => Now;
}
