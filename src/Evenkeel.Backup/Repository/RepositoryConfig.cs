using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.Backup.Repository;

/// <summary>The sealed (never compressed) file <c>config</c>.</summary>
/// <param name="Version">1 (nothing compressed) or 2.</param>
/// <param name="Id">32 random bytes in hexadecimal.</param>
/// <param name="ChunkerPolynomial">An irreducible polynomial of degree 53 over GF(2), lowercase hexadecimal.</param>
public sealed record RepositoryConfig(
    [property: JsonPropertyName("version")] int Version,
    [property: JsonPropertyName("id")] string Id,
    [property: JsonPropertyName("chunker_polynomial")] string ChunkerPolynomial)
{
    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, ConfigJson.Default.RepositoryConfig);

    internal static RepositoryConfig Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            var config = JsonSerializer.Deserialize(json, ConfigJson.Default.RepositoryConfig);
            if (config is { Id: not null, ChunkerPolynomial: not null })
            {
                return config.Version is 1 or 2 ? config : throw new RepositoryException(RepositoryError.UnknownFormat,
                    $"the repository has format version {config.Version}; this program knows 1 and 2");
            }
        }
        catch (JsonException)
        {
            // the same answer as below
        }
        throw new RepositoryException(RepositoryError.Damaged, "the repository's config is not valid");
    }
}

[JsonSerializable(typeof(RepositoryConfig))]
internal sealed partial class ConfigJson : JsonSerializerContext;
