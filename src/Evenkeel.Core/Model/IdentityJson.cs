using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.Core.Model;

// Identities are plain strings in JSON, also where they are a dictionary's keys.

public abstract class TextConverter<T> : JsonConverter<T>
{
    protected abstract T Parse(string text);
    protected virtual string Format(T value) => value!.ToString()!;

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Parse(reader.GetString() ?? throw new JsonException($"{typeof(T).Name} expected, null found"));
    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(Format(value));
    public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Parse(reader.GetString()!);
    public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WritePropertyName(Format(value));
}

public sealed class NodeNameConverter : TextConverter<NodeName>
{
    protected override NodeName Parse(string text) => new(text);
}

public sealed class ResourceIdConverter : TextConverter<ResourceId>
{
    protected override ResourceId Parse(string text) => new(text);
}

public sealed class GuardSessionConverter : TextConverter<GuardSession>
{
    protected override GuardSession Parse(string text) =>
        ulong.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var value)
            ? new(value) : throw new JsonException($"'{text}' is no guard session");
}

/// <summary><c>incarnation.number</c>, as people see it.</summary>
public sealed class EpochConverter : TextConverter<Epoch>
{
    protected override Epoch Parse(string text)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        return dot > 0
            && int.TryParse(text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var incarnation)
            && long.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new(incarnation, number) : throw new JsonException($"'{text}' is no epoch (incarnation.number)");
    }
}
