using Evenkeel.Agent.Local;
using Evenkeel.Agent.Preflight.Checks;

namespace Evenkeel.Agent.Preflight;

/// <summary>Every check of one server, one after the other: what times something is disturbed by nothing of ours.</summary>
public static class NodePreflight
{
    /// <summary>What does not answer (a hung disk, a dead device) costs no more than this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <param name="looked">Called before each check with its name.</param>
    public static async Task<PreflightReport> RunAsync(PreflightSubject subject, Action<string> looked, CancellationToken cancellation)
    {
        var findings = new List<PreflightFinding>();
        var (links, reason) = await ReadLinksAsync(cancellation).ConfigureAwait(false);
        if (reason is not null)
        {
            findings.Add(new(PreflightVerdict.Failed, "addresses", subject.Node.Value, $"this server's interfaces cannot be listed: {reason}", "Install iproute2 (apt install iproute2)"));
        }

        foreach (var check in Checks(subject, links))
        {
            looked(check.Name);
            findings.AddRange(await LookAsync(check, subject, cancellation).ConfigureAwait(false));
        }

        return new PreflightReport(subject.Spec.Cluster, [subject.Node.Value], DateTimeOffset.UtcNow, findings);
    }

    private static IEnumerable<PreflightCheck> Checks(PreflightSubject subject, LinkTable links) =>
    [
        new AddressCheck(subject, links),
        new NetworkCheck(subject, links),
        new ConflictCheck(subject, links),
        new ReachCheck(subject),
        new PortCheck(subject),
        new KernelCheck(subject),
        new ClockCheck(subject),
        new DiskCheck(subject),
        new EtcdCheck(subject),
        new FencingCheck(subject),
        new CertificateCheck(subject),
        new ProgramCheck(subject),
    ];

    private static async Task<(LinkTable Links, string? Reason)> ReadLinksAsync(CancellationToken cancellation)
    {
        try
        {
            return (await LinkTable.ReadAsync(cancellation).ConfigureAwait(false), null);
        }
        catch (Exception exception) when (exception is LocalClusterException or System.Text.Json.JsonException)
        {
            return (LinkTable.Empty, exception.Message);
        }
    }

    private static async Task<IReadOnlyList<PreflightFinding>> LookAsync(PreflightCheck check, PreflightSubject subject, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            // On another thread, and left alone there: a read of a disk that hangs cannot be cancelled.
            return await Task.Run(() => check.LookAsync(limit.Token), limit.Token).WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return [new(PreflightVerdict.Failed, check.Name, subject.Node.Value, $"the check of {check.Name} did not end within {Patience.TotalSeconds:0} s", "Something that it looks at hangs (a disk, a device): see dmesg")];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or System.Net.Sockets.SocketException or InvalidOperationException)
        {
            return [new(PreflightVerdict.Warning, check.Name, subject.Node.Value, $"could not be looked at: {exception.Message.ReplaceLineEndings(" ")}", "Run it as root, on the server itself")];
        }
    }
}
