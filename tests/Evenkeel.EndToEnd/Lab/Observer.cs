using System.Diagnostics;
using System.Text.Json;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Stands among the clients and watches one virtual IP: asks for it by HTTP, every 10 ms by ARP, and keeps who
/// answered. What it saw is all that the lab tests assert about ownership: nobody in the cluster is asked.
/// </summary>
internal sealed class Observer : IDisposable
{
    private readonly Process process;
    private readonly List<JsonElement> lines = [];
    private readonly TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously), claimed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task output;
    private readonly Task<string> errors;

    /// <summary>Watches from when it returns: a request has been answered, and by ARP somebody has claimed the address.</summary>
    /// <param name="connectMilliseconds">After which a connection that is not accepted has failed.</param>
    /// <param name="arp">Off for IPv6, which has none.</param>
    /// <param name="every">Milliseconds between two requests.</param>
    public static async Task<Observer> StartAsync(string clientNamespace, string vip, int connectMilliseconds = 200, bool arp = true, int every = 10)
    {
        var observer = new Observer(clientNamespace, vip, connectMilliseconds, arp, every);
        var seen = arp ? Task.WhenAll(observer.answered.Task, observer.claimed.Task) : observer.answered.Task;
        if (await Task.WhenAny(seen, observer.output, Task.Delay(TimeSpan.FromSeconds(60))) == seen) return observer;
        observer.Dispose();
        throw new InvalidOperationException($"the observer at {vip} saw no answer");
    }

    private Observer(string clientNamespace, string vip, int connectMilliseconds, bool arp, int every)
    {
        process = Process.Start(new ProcessStartInfo("ip",
            // Before everything else on this machine: a measuring device that waits for its turn measures itself.
            ["netns", "exec", clientNamespace, "nice", "-n", "-20", Checkout.Program, "probe", vip, .. arp ? new[] { "--arp", "pub0" } : [], "--every-ms", every.ToString(System.Globalization.CultureInfo.InvariantCulture), "--for", "0", "--connect-ms", connectMilliseconds.ToString(System.Globalization.CultureInfo.InvariantCulture), "--output", "json"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        output = ReadAsync();
        errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Ends the watch (requests under way get their answers first).</summary>
    public async Task<Sighting> EndAsync()
    {
        process.StandardInput.Close();
        await output;
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"the observer ended with {process.ExitCode}: {await errors}");
        return new Sighting(
            [.. lines.Where(line => line.TryGetProperty("at", out _)).Select(line => new Seen(
                line.GetProperty("at").GetDouble(), line.GetProperty("took").GetDouble(), line.TryGetProperty("failure", out var failure) ? failure.GetString() : null)).OrderBy(seen => seen.At)],
            [.. lines.Where(line => line.TryGetProperty("claimant", out _)).Select(line => new Claim(
                line.GetProperty("bootMilliseconds").GetDouble(), line.GetProperty("claimant").GetString()!)).OrderBy(claim => claim.At)]);
    }

    private async Task ReadAsync()
    {
        while (await process.StandardOutput.ReadLineAsync() is { } text)
        {
            var line = JsonDocument.Parse(text).RootElement;
            lines.Add(line);
            if (line.TryGetProperty("claimant", out _)) claimed.TrySetResult();
            else if (!line.TryGetProperty("failure", out _)) answered.TrySetResult();
        }
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.Dispose();
    }
}

/// <summary>One request; times in milliseconds, on CLOCK_BOOTTIME.</summary>
internal sealed record Seen(double At, double Took, string? Failure);

/// <summary>Somebody said by ARP that the address is theirs.</summary>
internal sealed record Claim(double At, string Hardware);

internal sealed record Sighting(IReadOnlyList<Seen> Requests, IReadOnlyList<Claim> Claims)
{
    public IReadOnlyList<Seen> Failed => [.. Requests.Where(seen => seen.Failure is not null)];

    /// <summary>Longest time between the starts of two requests that succeeded, in milliseconds.</summary>
    public double LongestOutage => LongestGap(seen => seen.At);

    /// <summary>
    /// Longest time without an answer, in milliseconds: also counts the wait of a request that was asked in the middle of it and
    /// answered by the next owner (its packet waited for the address).
    /// </summary>
    public double LongestSilence => LongestGap(seen => seen.At + seen.Took);

    private double LongestGap(Func<Seen, double> moment)
    {
        var served = Requests.Where(seen => seen.Failure is null).Select(moment).Order().ToList();
        return served.Count < 2 ? double.PositiveInfinity : served.Zip(served.Skip(1), (before, after) => after - before).Max();
    }

    /// <summary>
    /// The owners in the order in which they were seen. Two owners at once answer the same questions and would alternate, so
    /// each change beyond those that the test caused is a second owner.
    /// </summary>
    public IReadOnlyList<string> Owners
    {
        get
        {
            List<string> owners = [];
            foreach (var claim in Claims)
                if (owners.Count == 0 || owners[^1] != claim.Hardware) owners.Add(claim.Hardware);
            return owners;
        }
    }
}
