using Evenkeel.EndToEnd.Lab;
using Evenkeel.Services.Ledger;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>One scenario: clients write with an account of their own, an observer tries every node, and what both say is judged at its end.</summary>
internal sealed class DatabaseRun : IAsyncDisposable
{
    private readonly DatabaseLab lab;
    private readonly LedgerClient clients;
    private readonly PrimaryObserver observer;

    private readonly string address;

    private DatabaseRun(DatabaseLab lab, LedgerClient clients, PrimaryObserver observer, string address) =>
        (this.lab, this.clients, this.observer, this.address) = (lab, clients, observer, address);

    /// <summary>From a whole cluster; returns half a second after the first acknowledged write.</summary>
    public static async Task<DatabaseRun> BeginAsync(DatabaseLab lab)
    {
        await lab.RestoreAsync();
        // Who holds the address decides what a client's kept connection meets.
        var run = new DatabaseRun(lab, await lab.WriteAsync(), lab.Observe(), (await lab.Cluster.FrontDoorOwnerAsync(NamespaceLab.Deadline()))?.Value ?? "nobody");
        await Task.Delay(500, TestContext.Current.CancellationToken);
        return run;
    }

    /// <summary>Makes all whole, ends the watch, and judges it: one primary at every moment.</summary>
    public async Task<LedgerVerdict> EndAsync(string what, ITestOutputHelper output)
    {
        await lab.RestoreAsync();
        var verdict = await clients.EndAsync(NamespaceLab.Deadline());
        var writes = await observer.EndAsync();
        output.WriteLine($"{what}: {verdict.Acknowledged} acknowledged, {verdict.Lost.Count} lost, {verdict.Refused} refused, {verdict.Unknown} unknown ({verdict.UnknownPresent} there), "
            + $"nobody could write for {verdict.LongestUnwritable.TotalMilliseconds:0} ms, longest outage of a client {verdict.LongestOutage.TotalMilliseconds:0} ms, address on {address}; {writes.Count} writes on {string.Join(", ", writes.Select(write => $"{write.Node} (timeline {write.Timeline})").Distinct())}");
        Assert.NotEmpty(writes);
        Safety.OnePrimary(PrimaryObserver.Contradictions(writes));
        return verdict;
    }

    public async ValueTask DisposeAsync()
    {
        clients.Dispose();
        await observer.DisposeAsync();
    }
}
