using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>What etcd refuses: strangers, and writes when its space is used up.</summary>
[Trait("Peer", "etcd")]
[Trait("Machine", "shared")]
public sealed class EtcdRefusalTests : IAsyncLifetime
{
    private readonly EtcdTrio _trio = new() { Adjust = member => member with { QuotaBytes = 3 << 20 } };
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _trio.InitializeAsync();
    public ValueTask DisposeAsync() => _trio.DisposeAsync();

    [Fact]
    public async Task Commit_ForeignCertificate_GetsNothingAndIsNamed()
    {
        var directory = Directory.CreateTempSubdirectory("evenkeel-foreign-");
        using var foreign = CertificateAuthority.Create("shop");
        foreign.IssueNode(new NodeName("n1"), [IPAddress.Loopback], directory.FullName);
        using var certificate = NodeCertificate.Load(directory.FullName);
        var said = new List<string>();
        await using var store = new EtcdStore("shop", [.. _trio.Members.Select(m => new EtcdEndpoint(m.Clients, m.Node))], certificate, said.Add);
        var result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [], [new Write("k", new byte[1])]), Cancel);
        // In TLS 1.3 the refusal comes after the client's side of the handshake: now and then it looks like a lost answer.
        Assert.Contains(result.Outcome, new[] { CommitOutcome.Unavailable, CommitOutcome.Indeterminate });
        Assert.Contains(said, line => line.Contains("not accepted", StringComparison.Ordinal));
        Assert.Empty((await _trio.Open().ReadAsync("", Cancel)).Entries);
        directory.Delete(recursive: true);
    }

    [Fact]
    public async Task Commit_OutOfSpace_IsUnavailableReadsGoOnAndStatusSaysSo()
    {
        var store = _trio.Open();
        var written = 0;
        CommitResult result;
        do
        {
            result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [], [new Write($"k{written:d3}", new byte[500_000])]), Cancel);
            written += result.Outcome == CommitOutcome.Committed ? 1 : 0;
        }
        while (result.Outcome == CommitOutcome.Committed && written < 100);
        Assert.Equal(CommitOutcome.Unavailable, result.Outcome);
        Assert.Contains("space", result.Reason, StringComparison.Ordinal);
        Assert.Equal(written, (await store.ReadAsync("k", Cancel)).Entries.Count);
        Assert.Contains((await store.GetStatusAsync(Cancel)).Alarms, alarm => alarm.Contains("NOSPACE", StringComparison.Ordinal));
    }
}
