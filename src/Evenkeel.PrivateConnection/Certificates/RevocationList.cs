using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>
/// Certificates of this cluster that count no more, by serial number. Kept in a node's certificate directory twice: as
/// <c>revoked.json</c> for ourselves, so that a node that starts without the store knows them too, and as an X.509 list
/// (RFC 5280 section 5, DER) for etcd, which reads it anew at each handshake.
/// </summary>
public sealed class RevocationList
{
    /// <summary>For etcd. It believes whatever is in its own file and checks no signature of it (client/pkg/transport, checkCRL).</summary>
    public const string CrlFile = "revoked.crl";
    internal const string OwnFile = "revoked.json";
    private readonly string _directory;
    private IReadOnlyDictionary<string, string> _nodes;

    /// <exception cref="InvalidDataException">What an earlier run wrote cannot be read: it must not be forgotten.</exception>
    public RevocationList(string directory)
    {
        _directory = directory;
        _nodes = Read(directory);
    }

    /// <summary>The node whose certificate had this serial number (hexadecimal, as .NET writes it); null: it is not revoked.</summary>
    public string? NodeOf(string serial) => Volatile.Read(ref _nodes).GetValueOrDefault(serial);

    /// <summary>Whether a certificate of this node was revoked, be it an earlier server's of that name.</summary>
    public bool Names(string node) => Volatile.Read(ref _nodes).Values.Contains(node);

    /// <summary>Writes etcd's list where it is missing: etcd lets nobody in without it.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public string EnsureCrl()
    {
        var file = Path.Combine(_directory, CrlFile);
        if (!File.Exists(file))
        {
            WriteCrl(_nodes);
        }

        return file;
    }

    /// <summary>Adds what is not in the list yet: serial number to node. Nothing is ever taken out.</summary>
    /// <returns>The nodes of those that were added.</returns>
    /// <exception cref="IOException">It cannot be written; it counts all the same until this process ends.</exception>
    public IReadOnlyList<string> Add(IReadOnlyDictionary<string, string> nodes)
    {
        var before = Volatile.Read(ref _nodes);
        var added = nodes.Where(one => !before.ContainsKey(one.Key)).ToList();
        if (added.Count == 0)
        {
            return [];
        }

        var all = before.Concat(added).ToDictionary();
        Volatile.Write(ref _nodes, all);
        WriteCrl(all);
        PrivateFile.Replace(Path.Combine(_directory, OwnFile), JsonSerializer.Serialize(all, RevocationJson.Default.DictionaryStringString));
        return [.. added.Select(one => one.Value)];
    }

    /// <summary>Takes what another process has added to the file.</summary>
    /// <exception cref="InvalidDataException">It cannot be read; what was known stays.</exception>
    internal void Reload()
    {
        var known = Volatile.Read(ref _nodes);
        Volatile.Write(ref _nodes, known.Concat(Read(_directory).Where(one => !known.ContainsKey(one.Key))).ToDictionary());
    }

    private static Dictionary<string, string> Read(string directory)
    {
        var file = Path.Combine(directory, OwnFile);
        try
        {
            return File.Exists(file)
                ? JsonSerializer.Deserialize(File.ReadAllBytes(file), RevocationJson.Default.DictionaryStringString) ?? throw new JsonException("it holds null")
                : [];
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"the list of revoked certificates {file} cannot be read: {exception.Message}. Copy it from another node's state directory");
        }
    }

    private void WriteCrl(IReadOnlyDictionary<string, string> nodes)
    {
        var list = new CertificateRevocationListBuilder();
        foreach (var serial in nodes.Keys)
        {
            list.AddEntry(Convert.FromHexString(serial));
        }

        // Signed with a key that is thrown away: it is read on this node alone, and the authority's key is not here.
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = DateTimeOffset.UtcNow;
        var bytes = list.Build(new X500DistinguishedName("CN=evenkeel"), X509SignatureGenerator.CreateForECDsa(key), new BigInteger(now.ToUnixTimeMilliseconds()),
            now.AddYears(10), HashAlgorithmName.SHA256, X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(SHA256.HashData(key.ExportSubjectPublicKeyInfo())), now);
        PrivateFile.Replace(Path.Combine(_directory, CrlFile), bytes);
    }
}

[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class RevocationJson : JsonSerializerContext;
