using System.Diagnostics;
using System.Text.Json;
using Evenkeel.Services.Ledger;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>
/// Clients of a database among the lab's clients: a process in their namespace. They write until told to stop, then compare
/// their account with the database.
/// </summary>
internal sealed class LedgerClient : IDisposable
{
    private readonly Process process;

    private LedgerClient(Process process) => this.process = process;

    /// <summary>Returns once the first write was acknowledged.</summary>
    public static async Task<LedgerClient> StartAsync(string clientNamespace, string address, int port, CancellationToken cancellation)
    {
        var where = $"Host={address};Port={port};Username=postgres;Database=postgres";
        var process = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", clientNamespace, Path.Combine(AppContext.BaseDirectory, "Evenkeel.TestAgent"), "ledger", where])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        })!;
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
}
