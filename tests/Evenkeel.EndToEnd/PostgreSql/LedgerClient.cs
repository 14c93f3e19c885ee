using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Services.Ledger;
using Npgsql;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>
/// Clients of a database among the lab's clients: this test program as another process in their namespace. They write until
/// told to stop, then compare their account with the database.
/// </summary>
internal sealed class LedgerClient : IDisposable
{
    public const string Role = "ledger";
    private const int Clients = 3;
    private static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan VerifyLimit = TimeSpan.FromSeconds(60);
    private readonly Process process;

    private LedgerClient(Process process) => this.process = process;

    /// <summary>Returns once the first write was acknowledged.</summary>
    public static async Task<LedgerClient> StartAsync(string clientNamespace, string address, int port, CancellationToken cancellation)
    {
        var where = $"Host={address};Port={port};Username=postgres;Database=postgres";
        var process = Enforcement.Helper.Start($"{Role} {where}", "ip", "netns", "exec", clientNamespace);
        var client = new LedgerClient(process);
        if (await process.StandardOutput.ReadLineAsync(cancellation) is var said && said != "writing") throw new InvalidOperationException($"the ledger said: {said}");
        return client;
    }

    /// <summary>Stops writing and verifies. All clients taken together.</summary>
    public async Task<LedgerVerdict> EndAsync(CancellationToken cancellation)
    {
        process.StandardInput.Close();
        var said = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return JsonSerializer.Deserialize<LedgerVerdict>(said) ?? throw new InvalidOperationException($"the ledger said: {said}");
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.Dispose();
    }

    /// <summary>The other process.</summary>
    public static async Task RunAsync(string where)
    {
        var run = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
        await UntilAsync(() => WriteLedger.PrepareAsync(where + ";Timeout=2;Command Timeout=2", CancellationToken.None));
        var ledgers = Enumerable.Range(0, Clients).Select(number => new WriteLedger(() => where, $"{run}-{number}", WriteLimit)).ToList();
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
        Console.WriteLine(JsonSerializer.Serialize(new LedgerVerdict(
            verdicts.Sum(verdict => verdict.Acknowledged), verdicts.Sum(verdict => verdict.Refused), verdicts.Sum(verdict => verdict.Unknown),
            [.. verdicts.SelectMany(verdict => verdict.Lost)], verdicts.Sum(verdict => verdict.UnknownPresent), verdicts.Max(verdict => verdict.LongestOutage))));
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
