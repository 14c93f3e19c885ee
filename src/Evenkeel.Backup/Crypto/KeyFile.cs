using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.Backup.Crypto;

/// <summary>A file in <c>keys/</c>: the master key, sealed under a key that scrypt derives from one password.</summary>
/// <param name="Created">When, RFC 3339.</param>
/// <param name="Username">Who made it; informative.</param>
/// <param name="Hostname">Where; informative.</param>
/// <param name="Kdf">Always <c>scrypt</c>.</param>
/// <param name="N">scrypt's cost; a power of two.</param>
/// <param name="R">scrypt's block size.</param>
/// <param name="P">scrypt's parallelism.</param>
/// <param name="Salt">64 random bytes.</param>
/// <param name="Data">The sealed JSON of the master key.</param>
public sealed record KeyFile(
    [property: JsonPropertyName("created")] string Created,
    [property: JsonPropertyName("username")] string Username,
    [property: JsonPropertyName("hostname")] string Hostname,
    [property: JsonPropertyName("kdf")] string Kdf,
    [property: JsonPropertyName("N")] int N,
    [property: JsonPropertyName("r")] int R,
    [property: JsonPropertyName("p")] int P,
    [property: JsonPropertyName("salt")] byte[] Salt,
    [property: JsonPropertyName("data")] byte[] Data)
{
    private const int SaltSize = 64;

    // What restic's calibration arrives at on today's machines; a foreign key file's own parameters are honoured.
    private const int DefaultCost = 32768;
    private const int DefaultBlockSize = 8;
    private const int DefaultParallelism = 4;

    // A key file is plain text that anyone with write access can change: without a bound it could ask for any amount of memory.
    private const long MaximumMemoryBytes = 1L << 30;

    /// <summary>Seals <paramref name="master"/> under <paramref name="password"/>.</summary>
    public static KeyFile Create(MasterKey master, string password, string created, string user, string host)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltSize);
        var inner = new MasterKeyJson(new MacJson(master.MacK, master.MacR), master.Encrypt);
        var json = JsonSerializer.SerializeToUtf8Bytes(inner, KeyJson.Default.MasterKeyJson);
        using var derived = Derive(password, salt, DefaultCost, DefaultBlockSize, DefaultParallelism);
        return new KeyFile(created, user, host, "scrypt", DefaultCost, DefaultBlockSize, DefaultParallelism, salt, derived.Seal(json));
    }

    /// <summary>The file's bytes (plain JSON: it must be readable before any key is known).</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, KeyJson.Default.KeyFile);

    /// <summary>Reads a key file; fails with <see cref="RepositoryError.Damaged"/> when it is not one.</summary>
    public static KeyFile Parse(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var file = JsonSerializer.Deserialize(bytes, KeyJson.Default.KeyFile);
            if (file is { Kdf: "scrypt", N: > 1, R: > 0, P: > 0, Salt: not null, Data: not null }
                && int.IsPow2(file.N) && 128L * file.N * file.R <= MaximumMemoryBytes && file.P <= 64)
            {
                return file;
            }
        }
        catch (JsonException)
        {
            // falls through to the same answer
        }
        throw new RepositoryException(RepositoryError.Damaged, "a key file is not valid (not scrypt, or parameters out of bounds)");
    }

    /// <summary>The master key, or null when the password is another one's.</summary>
    public MasterKey? TryOpen(string password)
    {
        using var derived = Derive(password, Salt, N, R, P);
        var json = derived.TryOpen(Data);
        if (json is null)
        {
            return null;
        }
        var inner = JsonSerializer.Deserialize(json, KeyJson.Default.MasterKeyJson);
        return inner is { Mac: { K: not null, R: not null }, Encrypt: not null }
            ? new MasterKey(inner.Encrypt, inner.Mac.K, inner.Mac.R)
            : throw new RepositoryException(RepositoryError.Damaged, "a key file holds no master key");
    }

    private static MasterKey Derive(string password, byte[] salt, int cost, int blockSize, int parallelism) =>
        MasterKey.FromBytes(Scrypt.Derive(password, salt, cost, blockSize, parallelism, 64));
}

internal sealed record MacJson([property: JsonPropertyName("k")] byte[] K, [property: JsonPropertyName("r")] byte[] R);

internal sealed record MasterKeyJson(
    [property: JsonPropertyName("mac")] MacJson Mac, [property: JsonPropertyName("encrypt")] byte[] Encrypt);

[JsonSerializable(typeof(KeyFile))]
[JsonSerializable(typeof(MasterKeyJson))]
internal sealed partial class KeyJson : JsonSerializerContext;
