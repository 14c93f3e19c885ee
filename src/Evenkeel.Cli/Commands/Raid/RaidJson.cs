using System.Text.Json.Serialization;
using Evenkeel.Raid.Advice;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>What <c>--output json</c> prints; the same names as on the control socket.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(IReadOnlyList<ArrayReport>))]
[JsonSerializable(typeof(IReadOnlyList<MemberExamination>))]
[JsonSerializable(typeof(IReadOnlyList<LevelAdvice>))]
internal sealed partial class RaidJson : JsonSerializerContext;
