using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Enrolment;

/// <summary>
/// The one-time tokens that new nodes may enrol with: in <c>tokens.json</c> (0600) beside the authority's key, as SHA-256 hashes,
/// so that a copy of the file lets nobody in. A node has at most one; a newer one ends an older one.
/// </summary>
internal sealed class TokenBook(string file, TimeProvider time)
{
    public static readonly TimeSpan Standard = TimeSpan.FromHours(1);
    public static readonly TimeSpan Longest = TimeSpan.FromDays(7);
    private const int SecretBytes = 20;
    private readonly Lock _gate = new();

    /// <summary>A new token for a node.</summary>
    /// <exception cref="IOException">The book cannot be written; no token was made.</exception>
    public string Issue(NodeName node, TimeSpan lifetime)
    {
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SecretBytes));
        lock (_gate)
        {
            var now = time.GetUtcNow();
            Write([.. Read().Where(one => one.Node != node && one.Ends > now), new Entry(node, Hash(token), now + lifetime)]);
        }

        return token;
    }

    /// <summary>Takes the token out of the book, whoever brings it.</summary>
    /// <returns>Null when it is good for this node; else why not, in words for the log, not for a stranger.</returns>
    public string? Take(NodeName node, string token)
    {
        lock (_gate)
        {
            var entries = Read();
            var hash = Hash(token);
            if (entries.Find(one => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(one.Hash), Encoding.ASCII.GetBytes(hash))) is not { } entry)
            {
                return "the token is unknown, or was used before";
            }

            if (entry.Node != node)
            {
                return $"the token is for {entry.Node}";
            }

            // Gone before anything is given for it: two who bring it at once are not both served.
            entries.Remove(entry);
            Write(entries);
            return entry.Ends <= time.GetUtcNow() ? "the token has expired" : null;
        }
    }

    /// <summary>Ends a node's token, if it has one.</summary>
    /// <exception cref="IOException">The book cannot be written.</exception>
    public void Cancel(NodeName node)
    {
        lock (_gate)
        {
            var entries = Read();
            if (entries.RemoveAll(one => one.Node == node) > 0)
            {
                Write(entries);
            }
        }
    }

    private static string Hash(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    /// <summary>A book that cannot be read has no tokens: the operator makes new ones.</summary>
    private List<Entry> Read()
    {
        try
        {
            return File.Exists(file) ? JsonSerializer.Deserialize(File.ReadAllText(file), TokenBookJson.Default.ListEntry) ?? [] : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    private void Write(List<Entry> entries) => PrivateFile.Replace(file, JsonSerializer.Serialize(entries, TokenBookJson.Default.ListEntry));

    internal sealed record Entry(NodeName Node, string Hash, DateTimeOffset Ends);
}

[JsonSerializable(typeof(List<TokenBook.Entry>))]
internal sealed partial class TokenBookJson : JsonSerializerContext;
