using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Enrolment;

/// <summary>
/// Certificates that this node's authority has signed: on disk (<c>issued.json</c> in the state directory) before they are given away,
/// and from there in the store as soon as it answers. Who was given one and never shows it can be shut out all the same: a node that
/// is taken out loses all that was ever issued to it.
/// </summary>
internal sealed class IssuedBook(string stateDirectory)
{
    // The rest of them goes with the next.
    private const int MostAtOnce = 50;
    private readonly string _file = Path.Combine(stateDirectory, "issued.json");
    private readonly Lock _gate = new();

    /// <exception cref="IOException">It cannot be written: the certificate must not be given away.</exception>
    public void Add(NodeName node, string pem)
    {
        using var certificate = X509Certificate2.CreateFromPem(pem);
        lock (_gate)
        {
            Write([.. Read(), new IssuedCertificate(node, certificate.SerialNumber, DateTimeOffset.UtcNow, certificate.NotAfter)]);
        }
    }

    /// <summary>Brings what the store does not know yet there, and takes out of it what has ended.</summary>
    /// <exception cref="StoreUnavailableException">It does not answer; what it does not have is kept here.</exception>
    /// <exception cref="IOException">What it has cannot be taken off the list.</exception>
    public async Task TellAsync(ICoordinationStore store, EnrolmentKeys keys, CancellationToken cancellation)
    {
        List<IssuedCertificate> untold;
        lock (_gate)
        {
            untold = [.. Read().Take(MostAtOnce)];
        }

        if (untold.Count == 0)
        {
            return;
        }

        var ended = (await store.ReadAsync(keys.IssuedPrefix, cancellation).ConfigureAwait(false)).Entries.Where(entry => EnrolmentKeys.ReadIssued(entry) is { } one && one.Ends < DateTimeOffset.UtcNow).Take(MostAtOnce);
        var result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [], [.. untold.Select(keys.Put), .. ended.Select(entry => new Write(entry.Key, null))]), cancellation).ConfigureAwait(false);
        if (result.Outcome != CommitOutcome.Committed)
        {
            throw new StoreUnavailableException($"what was signed here could not be told: {result.Reason}");
        }

        lock (_gate)
        {
            Write([.. Read().ExceptBy(untold.Select(one => one.Serial), one => one.Serial)]);
        }
    }

    private List<IssuedCertificate> Read()
    {
        try
        {
            return File.Exists(_file) ? JsonSerializer.Deserialize(File.ReadAllBytes(_file), IssuedJson.Default.ListIssuedCertificate) ?? [] : [];
        }
        catch (JsonException exception)
        {
            throw new IOException($"{_file} cannot be read: {exception.Message}. Delete it, and take out with 'evenkeel remove' whoever may have got a certificate without becoming a node", exception);
        }
    }

    private void Write(List<IssuedCertificate> issued) => PrivateFile.Replace(_file, JsonSerializer.SerializeToUtf8Bytes(issued, IssuedJson.Default.ListIssuedCertificate));
}

/// <param name="At">When it was signed.</param>
internal sealed record IssuedCertificate(NodeName Node, string Serial, DateTimeOffset At, DateTimeOffset Ends);

[JsonSerializable(typeof(List<IssuedCertificate>))]
internal sealed partial class IssuedJson : JsonSerializerContext;
