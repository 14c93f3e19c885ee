using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Services.Ledger;
using Npgsql;

namespace Evenkeel.TestAgent;

/// <summary>
/// Several clients of one database, each with its own account, one of which makes a connection for each write: says "writing" once every one had a write acknowledged, writes
/// until its standard input ends, then compares the accounts with the database and says the verdict as JSON.
/// </summary>
internal static class LedgerClients
{
    private const int Clients = 3;
    private static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FreshLimit = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan VerifyLimit = TimeSpan.FromSeconds(60);

    public static async Task<int> RunAsync(string where)
    {
        var run = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
        await UntilAsync(() => WriteLedger.PrepareAsync(where + ";Timeout=2;Command Timeout=2", CancellationToken.None));
        var ledgers = Enumerable.Range(0, Clients).Select(number => new WriteLedger(() => where, $"{run}-{number}", WriteLimit))
            .Append(new WriteLedger(() => where, $"{run}-fresh", FreshLimit) { Fresh = true }).ToList();
        using var stop = new CancellationTokenSource();
        var writing = ledgers.Select(ledger => Task.Run(() => ledger.RunAsync(stop.Token))).ToList();
        while (ledgers.Any(ledger => !ledger.Entries.Any(entry => entry.Outcome == WriteOutcome.Acknowledged))) await Task.Delay(10);
        Console.WriteLine("writing");
        while (await Console.In.ReadLineAsync() is not null) { }
        await stop.CancelAsync();
        await Task.WhenAll(writing);
        List<LedgerVerdict> verdicts = [];
        foreach (var ledger in ledgers)
            await UntilAsync(async () => verdicts.Add(await ledger.VerifyAsync(where + ";Timeout=2;Command Timeout=5", CancellationToken.None)));
        Console.WriteLine(JsonSerializer.Serialize(LedgerVerdict.Of(verdicts)));
        return 0;
    }

    // The database may be on its way to another node just now.
    private static async Task UntilAsync(Func<Task> works)
    {
        for (var watch = Stopwatch.StartNew(); ;)
        {
            try
            {
                await works();
                return;
            }
            catch (Exception failure) when (failure is NpgsqlException or TimeoutException or System.Net.Sockets.SocketException && watch.Elapsed < VerifyLimit)
            {
                await Task.Delay(100);
            }
        }
    }
}
