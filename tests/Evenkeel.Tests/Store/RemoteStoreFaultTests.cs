using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Store.Embedded;
using Evenkeel.PrivateConnection.Store.Remote;
using Evenkeel.PrivateConnection.Transport;
using Evenkeel.Tests.Transport;
using Xunit;

namespace Evenkeel.Tests.Store;

/// <summary>What a client says when the server is gone, refuses it, or dies between a call and its answer.</summary>
public sealed class RemoteStoreFaultTests : IDisposable
{
    private readonly TestCluster _cluster = new();
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;
    private static readonly PrivateEndpoint s_any = new(IPAddress.Loopback, 0);

    public void Dispose() => _cluster.Dispose();

    private static Transaction Put(string key) => new(Guid.NewGuid(), [new Evenkeel.Core.Loop.Ports.Compare(key, 0)], [new Write(key, new byte[1])]);

    private EmbeddedStore OpenFile() => EmbeddedStore.Open(Path.Combine(_cluster.Path, "store.db"));

    [Fact]
    public async Task Commit_NobodyListens_IsUnavailable()
    {
        await using var file = OpenFile();
        var server = new StoreServer(file, _cluster.Issue("n1"), s_any, _ => { });
        await server.DisposeAsync();
        await using var store = new RemoteStore(server.Endpoint, _cluster.Issue("n2"), _ => { });
        Assert.Equal(CommitOutcome.Unavailable, (await store.CommitAsync(Put("a"), Cancel)).Outcome);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.ReadAsync("", Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await store.WatchAsync("", 1, Cancel).GetAsyncEnumerator(Cancel).MoveNextAsync());
    }

    [Fact]
    public async Task Commit_ForeignCertificate_IsUnavailableAndNamed()
    {
        using var foreign = new TestCluster();
        var log = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var file = OpenFile();
        await using var server = new StoreServer(file, _cluster.Issue("n1"), s_any, log.Enqueue);
        await using var store = new RemoteStore(server.Endpoint, foreign.Issue("n2"), log.Enqueue);
        Assert.Equal(CommitOutcome.Unavailable, (await store.CommitAsync(Put("a"), Cancel)).Outcome);
        Assert.Contains(log, line => line.Contains("is not accepted", StringComparison.Ordinal));
        Assert.Empty((await file.ReadAsync("", Cancel)).Entries);
    }

    [Fact]
    public async Task Commit_ServerRestarted_GoesOnAndAnswersTheRetry()
    {
        var file = OpenFile();
        var first = new StoreServer(file, _cluster.Issue("n1"), s_any, _ => { });
        await using var store = new RemoteStore(first.Endpoint, _cluster.Issue("n2"), _ => { });
        var transaction = Put("a");
        var committed = await store.CommitAsync(transaction, Cancel);
        await first.DisposeAsync();
        await file.DisposeAsync();
        file = OpenFile();
        await using var second = new StoreServer(file, _cluster.Issue("n1"), first.Endpoint, _ => { });
        CommitResult again;
        do
        {
            again = await store.CommitAsync(transaction, Cancel);
        }
        while (again.Outcome is CommitOutcome.Unavailable or CommitOutcome.Indeterminate);
        Assert.Equal(committed, again);
        await file.DisposeAsync();
    }

    [Fact]
    public async Task Commit_AnswerLost_IsIndeterminateUntilARetryIsAnswered()
    {
        await using var file = OpenFile();
        var server = _cluster.Issue("n1");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var endpoint = new PrivateEndpoint(IPAddress.Loopback, ((IPEndPoint)listener.LocalEndpoint).Port);
        await using var store = new RemoteStore(endpoint, _cluster.Issue("n2"), _ => { });
        // A server that greets, takes each call, and dies before it answers.
        var dying = Task.Run(async () =>
        {
            for (var i = 0; i < 2; i++)
            {
                using var socket = await listener.AcceptSocketAsync(Cancel);
                await using var tls = new SslStream(new NetworkStream(socket));
                await tls.AuthenticateAsServerAsync(server.ServerOptions(_ => { }), Cancel);
                await tls.WriteAsync(Framing.Frame("""{"number":0}"""u8), Cancel);
                await Framing.ReadAsync(tls, 1 << 20, Cancel);
            }

            listener.Stop();
        }, Cancel);
        var transaction = Put("a");
        Assert.Equal(CommitOutcome.Indeterminate, (await store.CommitAsync(transaction, Cancel)).Outcome);
        await dying;
        // This attempt surely was not sent; the earlier one may still be applied.
        Assert.Equal(CommitOutcome.Indeterminate, (await store.CommitAsync(transaction, Cancel)).Outcome);
        Assert.Equal(CommitOutcome.Unavailable, (await store.CommitAsync(Put("b"), Cancel)).Outcome);
        await using var real = new StoreServer(file, server, endpoint, _ => { });
        Assert.Equal(CommitOutcome.Committed, (await store.CommitAsync(transaction, Cancel)).Outcome);
    }
}
