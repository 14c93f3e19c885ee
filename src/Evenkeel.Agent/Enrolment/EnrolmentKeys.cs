using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Enrolment;

/// <param name="Serial">Of a certificate, hexadecimal.</param>
/// <param name="At">When it was revoked, or first used.</param>
internal sealed record CertificateRecord(NodeName Node, string Serial, DateTimeOffset At)
{
    /// <summary>Those that it took the place of, in order and by the same node, and that have not ended yet: who takes the node out revokes them too.</summary>
    public IReadOnlyList<EarlierCertificate> Earlier { get; set; } = [];
}

internal sealed record EarlierCertificate(string Serial, DateTimeOffset Ends);

/// <summary>Records of certificates in the coordination store: which one each node has, and which count no more.</summary>
internal sealed class EnrolmentKeys(string cluster)
{
    public string CertificatePrefix { get; } = $"/evenkeel/{cluster}/certificate/";
    public string RevokedPrefix { get; } = $"/evenkeel/{cluster}/revoked/";

    /// <summary>What was signed, by serial number, whether or not it was ever used.</summary>
    public string IssuedPrefix { get; } = $"/evenkeel/{cluster}/issued/";

    public string Certificate(NodeName node) => CertificatePrefix + node.Value;

    public Write Put(CertificateRecord used) => new(Certificate(used.Node), Bytes(used));

    public Write Put(IssuedCertificate issued) => new(IssuedPrefix + issued.Serial, JsonSerializer.SerializeToUtf8Bytes(issued, EnrolmentRecordJson.Default.IssuedCertificate));

    /// <summary>What was issued counts no more, and is forgotten.</summary>
    private IReadOnlyList<Write> Revoke(IEnumerable<IssuedCertificate> issued, DateTimeOffset at) =>
        [.. issued.SelectMany(one => (Write[])[new Write(RevokedPrefix + one.Serial, Bytes(new CertificateRecord(one.Node, one.Serial, at))), new Write(IssuedPrefix + one.Serial, null)])];

    /// <summary>The node's certificate and all that it took the place of.</summary>
    public IReadOnlyList<Write> Revoke(CertificateRecord record) =>
        [.. record.Earlier.Select(one => one.Serial).Append(record.Serial).Distinct().Select(serial => new Write(RevokedPrefix + serial, Bytes(record with { Serial = serial, Earlier = [] })))];

    /// <summary>Null when the record is not one.</summary>
    public static CertificateRecord? Read(StoreEntry entry)
    {
        try
        {
            return JsonSerializer.Deserialize(entry.Value.Span, EnrolmentRecordJson.Default.CertificateRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <inheritdoc cref="Read"/>
    public static IssuedCertificate? ReadIssued(StoreEntry entry)
    {
        try
        {
            return JsonSerializer.Deserialize(entry.Value.Span, EnrolmentRecordJson.Default.IssuedCertificate);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Ends all that was ever issued to a node and that the store knows of.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="StoreUnavailableException">It is not known whether they are revoked.</exception>
    public async Task<int> RevokeIssuedAsync(ICoordinationStore store, NodeName node, CancellationToken cancellation)
    {
        var issued = (await store.ReadAsync(IssuedPrefix, cancellation).ConfigureAwait(false)).Entries.Select(ReadIssued).OfType<IssuedCertificate>().Where(one => one.Node == node).ToList();
        // etcd takes 128 changes at once.
        foreach (var some in issued.Chunk(50))
        {
            var result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [], Revoke(some, DateTimeOffset.UtcNow)), cancellation).ConfigureAwait(false);
            if (result.Outcome != CommitOutcome.Committed)
            {
                throw new StoreUnavailableException($"what was issued to {node} is not known to be revoked: {result.Reason}");
            }
        }

        return issued.Count;
    }

    private static byte[] Bytes(CertificateRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, EnrolmentRecordJson.Default.CertificateRecord);
}

[JsonSerializable(typeof(CertificateRecord))]
[JsonSerializable(typeof(IssuedCertificate))]
internal sealed partial class EnrolmentRecordJson : JsonSerializerContext;
