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

    public string Certificate(NodeName node) => CertificatePrefix + node.Value;

    public Write Put(CertificateRecord used) => new(Certificate(used.Node), Bytes(used));

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

    private static byte[] Bytes(CertificateRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, EnrolmentRecordJson.Default.CertificateRecord);
}

[JsonSerializable(typeof(CertificateRecord))]
internal sealed partial class EnrolmentRecordJson : JsonSerializerContext;
