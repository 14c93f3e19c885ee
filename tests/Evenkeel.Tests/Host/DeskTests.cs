using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Tests.Transport;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>Nodes' questions to each other, over real TLS connections on loopback.</summary>
public sealed class DeskTests : IAsyncDisposable
{
    private static readonly NodeName s_n1 = new("n1"), s_n2 = new("n2"), s_n3 = new("n3");
    private readonly TestCluster _cluster = new();
    private readonly TestCluster _foreign = new();
    private readonly ConcurrentQueue<string> _said = new();
    private readonly int _port = FreePort();
    private IAsyncDisposable? _server;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        _cluster.Dispose();
        _foreign.Dispose();
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private async Task ServeAsync(Func<string, int, bool, CancellationToken, IAsyncEnumerable<LogLine>> logs) => _server = await DeskServer.StartAsync(
        [new IPEndPoint(IPAddress.Loopback, _port)], _cluster.Issue("n2"), node => node != s_n3, logs, (to, cancellation) => to.WriteAsync("an archive"u8.ToArray(), cancellation).AsTask(),
        (node, request) => request == "mine" ? $"certificate of {node}" : null, (_, reason) => _said.Enqueue(reason), _said.Enqueue);

    private DeskClient Client(NodeCertificate certificate) => new(certificate, [IPAddress.Loopback], _port);

    private static async IAsyncEnumerable<LogLine> Numbered(string service, int lines, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
    {
        for (var i = 1; i <= lines; i++)
        {
            yield return new LogLine(DateTimeOffset.UnixEpoch, s_n2, "output", $"{service} {i}");
        }

        if (follow)
        {
            await Task.Delay(Timeout.Infinite, cancellation);
        }
    }

    private static NodeSpec Node(NodeName name) => new() { Name = name, Private = [IPAddress.Loopback] };

    [Fact]
    public async Task LogsOfAnotherNode_AreItsOwnLines_InOrder()
    {
        await ServeAsync(Numbered);
        var lines = await Client(_cluster.Issue("n1")).LogsAsync(s_n2, [IPAddress.Loopback], "web", 3, false, Cancel);
        Assert.Equal(["web 1", "web 2", "web 3"], await lines.Select(line => line.Text).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Renew_IsForTheNodeThatAsks_AndNothingWhereItCannotBeSigned()
    {
        await ServeAsync(Numbered);
        var client = Client(_cluster.Issue("n1"));
        Assert.Equal("certificate of n1", await client.RenewAsync(s_n2, [IPAddress.Loopback], "mine", Cancel));
        Assert.Null(await client.RenewAsync(s_n2, [IPAddress.Loopback], "other", Cancel));
        // n3 has a certificate of the cluster, and is not in its file any more.
        Assert.Null(await Client(_cluster.Issue("n3")).RenewAsync(s_n2, [IPAddress.Loopback], "mine", Cancel));
        await Assert.ThrowsAsync<HttpRequestException>(() => Client(_foreign.Issue("n1")).RenewAsync(s_n2, [IPAddress.Loopback], "mine", Cancel));
    }

    [Fact]
    public async Task Follow_BringsEachLineAsItComes_AndEndsWithTheReader()
    {
        var ended = new TaskCompletionSource();
        async IAsyncEnumerable<LogLine> Watched(string service, int lines, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
        {
            using var end = cancellation.Register(ended.SetResult);
            await foreach (var line in Numbered(service, lines, follow, cancellation))
            {
                yield return line;
            }
        }

        await ServeAsync(Watched);
        var lines = await Client(_cluster.Issue("n1")).LogsAsync(s_n2, [IPAddress.Loopback], "web", 2, true, Cancel);
        var read = new List<string>();
        await foreach (var line in lines)
        {
            read.Add(line.Text);
            if (read.Count == 2)
            {
                break;
            }
        }

        Assert.Equal(["web 1", "web 2"], read);
        await ended.Task.WaitAsync(Cancel);
    }

    [Fact]
    public async Task ForeignCertificate_GetsNothing_AndIsNamed()
    {
        await ServeAsync(Numbered);
        // It knows our authority, so that it believes us; its own certificate is from another one.
        var stranger = _foreign.Issue("n1");
        File.Copy(Path.Combine(_cluster.Issue("n4").Directory, NodeCertificate.AuthorityFile), Path.Combine(stranger.Directory, NodeCertificate.AuthorityFile), overwrite: true);
        using var believing = NodeCertificate.Load(stranger.Directory);
        var options = believing.ClientOptions(s_n2, _ => { });
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, _port, Cancel);
        await using var tls = new SslStream(socket.GetStream());
        var got = -1;
        try
        {
            await tls.AuthenticateAsClientAsync(options, Cancel);
            await tls.WriteAsync("GET /v1/own/services/web/logs HTTP/1.1\r\nHost: n2\r\n\r\n"u8.ToArray(), Cancel);
            got = await tls.ReadAsync(new byte[1], Cancel);
        }
        catch (Exception exception) when (exception is IOException or System.Security.Authentication.AuthenticationException)
        {
            got = 0;
        }

        Assert.Equal(0, got);
        Assert.Contains(_said, said => said.Contains("CN=n1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task NodeNoLongerInTheFile_IsForbidden()
    {
        await ServeAsync(Numbered);
        var refusal = await Assert.ThrowsAsync<HttpRequestException>(() => Client(_cluster.Issue("n3")).LogsAsync(s_n2, [IPAddress.Loopback], "web", 1, false, Cancel));
        Assert.Equal(HttpStatusCode.Forbidden, refusal.StatusCode);
    }

    [Fact]
    public async Task AnotherNodeAtTheAddress_IsNotBelieved()
    {
        await ServeAsync(Numbered);
        var refusal = await Assert.ThrowsAsync<HttpRequestException>(() => Client(_cluster.Issue("n1")).LogsAsync(s_n1, [IPAddress.Loopback], "web", 1, false, Cancel));
        Assert.Contains("expected n1, found n2", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AllNodes_OneThatCannotBeAsked_IsNamedAmongTheLinesOfTheOthers()
    {
        await ServeAsync(Numbered);
        var logs = new ClusterLogs(s_n1, Client(_cluster.Issue("n1")), Numbered);
        var lines = new List<LogLine>();
        await foreach (var line in logs.OfAllAsync([Node(s_n1), Node(s_n2), Node(s_n3)], "web", 1, false, Cancel))
        {
            lines.Add(line);
        }

        Assert.Equal(["output", "output", "evenkeel"], lines.Select(line => line.Stream));
        Assert.Equal(s_n3, lines[2].Node);
    }

    [Fact]
    public void BulkSockets_ArePacedByTheKernel()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        BulkSocket.Apply(socket);
        Assert.Equal(BulkSocket.PacingRate, BulkSocket.PacingOf(socket));
    }
}
