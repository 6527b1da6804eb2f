// Every text of the page: [English, Chinese]. {name} is replaced. Reasons are the tokens of our
// error answers (common/reason.h), each with an explanation and advice.

const languages = ['en', 'zh'];

export const strings = {
  skip: ['Skip to the form', '跳到表单'],
  language: ['Language', '语言'],

  input: ['Stream or channel list', '流地址或频道列表'],
  input_example: ['https://example.com/live/index.m3u8', 'https://example.com/live/index.m3u8'],
  input_help: [
    'Paste a URL, several URLs, or the text of a list. Enter plays it.',
    '粘贴一个地址、多个地址或列表的全文，按回车播放。',
  ],
  play: ['Play', '播放'],
  stop: ['Stop', '停止'],
  open_file: ['Open a list file', '打开列表文件'],
  options: ['Request options', '请求选项'],
  option_count: ['{count} set', '已设 {count} 项'],
  referer: ['Referer', 'Referer（来源页）'],
  headers: ['Request headers', '请求头'],
  header_name: ['Header name', '请求头名称'],
  header_value: ['Header value', '请求头的值'],
  add_header: ['Add a header', '添加请求头'],
  alternatives: ['Other URLs of the same content', '同一内容的其他地址'],
  alternative: ['Other URL {number}', '其他地址 {number}'],
  add_alternative: ['Add a URL', '添加地址'],
  alternatives_help: [
    'They are tried in order if the first one fails.',
    '第一个地址失败时，依次尝试这些地址。',
  ],
  remove: ['Remove', '移除'],
  live_option: [
    'Live stream: reconnect when it ends or breaks',
    '直播流：结束或中断时自动重连',
  ],

  token: ['Token', '令牌'],
  token_help: [
    'For a proxy that requires one. It is a part of the links, and is kept nowhere else.',
    '仅当本代理要求令牌时填写。令牌只写入链接，不会保存。',
  ],

  links: ['Link through this proxy', '经过本代理的链接'],
  links_empty: ['Enter a URL to get its link.', '输入地址即可得到链接。'],
  links_list: [
    'Choose a channel to get its link, or save the whole list with links.',
    '选择一个频道可得到它的链接，也可以保存带链接的整个列表。',
  ],
  form_query: ['Query', '查询形式'],
  form_named: ['With file name', '带文件名'],
  form_path: ['Path', '路径形式'],
  copy: ['Copy', '复制'],
  copy_form: ['Copy the link: {form}', '复制链接：{form}'],
  copied: ['Copied', '已复制'],

  channels: ['Channels', '频道'],
  channel_count: ['{shown} of {all}', '{shown} / {all}'],
  search: ['Search', '搜索'],
  group: ['Group', '分组'],
  all_groups: ['All groups', '全部分组'],
  logos: ['Show logos (requested through this proxy)', '显示台标（经本代理请求）'],
  save_list: ['Save the list with links', '保存带链接的列表'],

  player: ['Player', '播放器'],
  idle: ['Nothing plays yet.', '尚未播放。'],
  requesting: ['Requesting…', '正在请求……'],
  starting: ['Starting with {player}…', '正在用{player}启动……'],
  playing: ['Playing with {player}', '正在用{player}播放'],
  paused: ['Paused', '已暂停'],
  waiting: ['Waiting for data…', '正在等待数据……'],
  ended: ['Played to the end', '播放完毕'],
  stopped: ['Stopped', '已停止'],
  list_read: ['A list with {count} channels', '包含 {count} 个频道的列表'],
  tries_again: ['The player tries again…', '播放器正在重试……'],
  press_play: ['Press play in the video: the browser requires a click.', '请点击视频里的播放：浏览器要求用户操作。'],
  player_browser: ["the browser's own player", '浏览器自带的播放器'],

  report: ['What happened', '发生了什么'],
  fact_kind: ['Kind', '类型'],
  fact_first_byte: ['First byte', '首字节'],
  fact_answer: ['Status', '状态'],
  fact_type: ['Content type', '内容类型'],
  fact_player: ['Player', '播放器'],
  fact_picture: ['Picture', '画面'],
  fact_codecs: ['Codecs', '编码'],
  fact_length: ['Length', '时长'],
  fact_audio: ['Audio', '音轨'],
  fact_subtitles: ['Subtitles', '字幕'],
  fact_encryption: ['Encryption', '加密'],
  fact_id: ['Exchange', '请求编号'],
  live: ['live', '直播'],
  yes: ['yes', '是'],
  segments: ['segments: {count}', '分片：{count}'],
  milliseconds: ['{count} ms', '{count} 毫秒'],
  variants: ['Variants', '清晰度'],
  size: ['Size', '分辨率'],
  bandwidth: ['Bandwidth', '带宽'],
  frame_rate: ['Frames', '帧率'],
  codecs: ['Codecs', '编码'],
  log: ['Log', '日志'],
  variant_chosen: ['Variant {variant}', '清晰度 {variant}'],
  player_warning: ['The player reports: {message}', '播放器报告：{message}'],
  next_player: ['{player} failed; trying {next}.', '{player}失败，改用{next}。'],

  kind_hls: ['HLS playlist', 'HLS 播放列表'],
  kind_hls_multivariant: ['HLS, multivariant', 'HLS，多清晰度'],
  kind_list: ['Channel list', '频道列表'],
  kind_dash: ['DASH manifest', 'DASH 清单'],
  kind_ts: ['MPEG transport stream', 'MPEG 传输流'],
  kind_flv: ['Flash video', 'FLV 视频'],
  kind_mp4: ['MP4', 'MP4'],
  kind_matroska: ['WebM or Matroska', 'WebM 或 Matroska'],
  kind_ogg: ['Ogg', 'Ogg'],
  kind_flac: ['FLAC audio', 'FLAC 音频'],
  kind_wav: ['WAV audio', 'WAV 音频'],
  kind_mp3: ['MP3 audio', 'MP3 音频'],
  kind_aac: ['AAC audio', 'AAC 音频'],
  kind_audio: ['Audio', '音频'],
  kind_video: ['Video', '视频'],
  kind_image: ['Image', '图片'],
  kind_html: ['Web page', '网页'],
  kind_text: ['Text', '文本'],
  kind_unknown: ['Unknown', '未知'],

  failed: ['It does not play', '无法播放'],
  reason_code: ['Reason', '原因代码'],
  not_media_html: [
    'The URL leads to a web page, not to a stream. Look for the address of the stream in that page.',
    '该地址是网页而不是流。请在网页中寻找流的地址。',
  ],
  not_media_image: ['The URL leads to an image.', '该地址是一张图片。'],
  not_media_text: [
    'The URL leads to a text that is not a playlist.',
    '该地址是一段文本，不是播放列表。',
  ],
  no_player: [
    'This browser does not play this kind by itself, and this Streamgate was built without {player}. Copy the link into VLC or mpv.',
    '此浏览器自身不能播放这种类型，而本 Streamgate 构建时没有包含 {player}。请把链接复制到 VLC 或 mpv。',
  ],
  empty_list: ['The list has no channels.', '列表中没有频道。'],
  pasted_hls: [
    'This is the text of an HLS playlist. Paste its URL instead: its links are relative to that URL.',
    '这是 HLS 播放列表的内容。请改为粘贴它的地址，其中的链接以该地址为基准。',
  ],
  player_failed: [
    'The stream arrived, but the player could not play it. This browser may not support its codecs.',
    '流已到达，但播放器无法播放。浏览器可能不支持其编码。',
  ],
  part_failed: ['A part of the stream could not be loaded: {url}', '流的一部分无法加载：{url}'],
  other_origin: [
    'The links of the playlist lead to {origin}, not to this page. Behind a reverse proxy, set X-Forwarded-Proto, -Host and -Prefix, or public_url.',
    '播放列表中的链接指向 {origin}，而不是本页所在的地址。在反向代理之后，请设置 X-Forwarded-Proto、-Host 和 -Prefix，或 public_url。',
  ],
  broken_off: [
    'The answer ended too early.',
    '应答在结束前中断。',
  ],
  proxy_unreachable: [
    'The proxy did not answer. Is it still running, and is the network up?',
    '代理没有应答。它是否仍在运行？网络是否正常？',
  ],

  status_401: [
    'The upstream requires a user name and password (401). Write them in the URL, or add the header Authorization.',
    '上游要求用户名和密码（401）。请写在地址中，或添加请求头 Authorization。',
  ],
  status_403: [
    'The upstream refused the request (403). It may need a Referer, a User-Agent or a fresh token.',
    '上游拒绝了请求（403）。它可能需要 Referer、User-Agent 或新的令牌。',
  ],
  status_404: [
    'The upstream has nothing at this URL (404). It may have moved or ended.',
    '上游在该地址没有内容（404）。内容可能已移动或已结束。',
  ],
  status_410: ['The content is gone from the upstream (410).', '上游已删除该内容（410）。'],
  status_429: [
    'The upstream limits the number of requests (429). Try again later.',
    '上游要求减少请求（429）。请稍后再试。',
  ],
  status_5xx: [
    'The upstream has an error of its own ({status}). Try again later.',
    '上游自身发生故障（{status}）。请稍后再试。',
  ],
  status_other: ['The upstream answered with status {status}.', '上游以状态 {status} 应答。'],

  built_in: ['Players on this page: {players}.', '本页包含的播放器：{players}。'],
  built_in_none: [
    "This Streamgate was built without players for the page: it plays what this browser plays by itself.",
    '本 Streamgate 构建时未包含网页播放器：只能播放浏览器自身支持的内容。',
  ],
};

export const reasons = {
  bad_request: ['The proxy could not read the request. Check the request headers.', '代理无法解析请求。请检查请求头。'],
  bad_url: ['The URL cannot be used. It must begin with http:// or https://.', '地址无法使用。它必须以 http:// 或 https:// 开头。'],
  not_found: ['The proxy has nothing at this path.', '代理在该路径没有内容。'],
  method_not_allowed: ['The proxy serves GET, HEAD and OPTIONS only.', '代理只接受 GET、HEAD 和 OPTIONS。'],
  request_timeout: ['The request took too long to arrive at the proxy.', '请求到达代理的时间过长。'],
  body_not_accepted: ['The proxy accepts no requests with a body.', '代理不接受带正文的请求。'],
  uri_too_long: ['The URL is too long for the limit of this proxy (limits.request_line).', '地址超过了代理的长度限制（limits.request_line）。'],
  expectation_failed: ['The request expects something that the proxy does not offer.', '请求期望了代理不支持的功能。'],
  header_too_large: ['The request is too large for the limit of this proxy (limits.request_head).', '请求超过了代理的大小限制（limits.request_head）。'],
  not_implemented: ['The proxy does not support this kind of request.', '代理不支持这种请求。'],
  version_not_supported: ['The proxy speaks HTTP/1.0 and HTTP/1.1 only.', '代理只支持 HTTP/1.0 和 HTTP/1.1。'],
  target_forbidden: ['This proxy may not request that address: it is private, or not on the list. The operator can open it with security.allow_private or security.allow.', '本代理不允许请求该地址：它是私有地址，或不在名单中。管理员可用 security.allow_private 或 security.allow 放行。'],
  port_forbidden: ['Browsers refuse this port, and so does the proxy. The operator can open it with security.ports.', '浏览器禁止该端口，代理也禁止。管理员可用 security.ports 放行。'],
  script_forbidden: ['Nothing from an upstream may run as a script here.', '上游的内容不得在此作为脚本运行。'],
  token_missing: ['This proxy requires a token. Ask the operator for a link that has one.', '本代理需要令牌。请向管理员索取带令牌的链接。'],
  token_expired: ['The token has expired. Ask the operator for a new link.', '令牌已过期。请向管理员索取新的链接。'],
  token_invalid: ['The token is not valid for this proxy.', '令牌对本代理无效。'],
  token_scope: ['The token does not cover this URL.', '令牌不包含该地址。'],
  client_forbidden: ['This proxy does not serve your address.', '本代理不为您的地址提供服务。'],
  parameter_forbidden: ['The link has a parameter that this proxy does not allow, such as headers.', '链接含有本代理不允许的参数（例如请求头）。'],
  token_client: ['The token belongs to another client address.', '令牌属于另一个客户端地址。'],
  not_a_playlist: ['The upstream sent a web page in place of a playlist. Its link may have expired.', '上游返回了网页而不是播放列表。链接可能已过期。'],
  loop: ['The URL leads back to this proxy.', '该地址又指回了本代理。'],
  rate_limited: ['You use more connections, streams or requests than you may. Close other players.', '您的连接、播放或请求数超过了限制。请关闭其他播放器。'],
  client_gone: ['The connection to the proxy was closed.', '与代理的连接已关闭。'],
  client_stalled: ['The player stopped reading.', '播放器停止了读取。'],
  client_too_slow: ['The player read too slowly.', '播放器读取过慢。'],
  dns_failed: ['The name of the upstream does not exist, or could not be resolved. Check its spelling.', '上游的域名不存在或无法解析。请检查拼写。'],
  dns_timeout: ['Resolving the name of the upstream took too long.', '解析上游域名超时。'],
  connect_failed: ['The upstream refuses connections. It may be off, or the port is wrong.', '上游拒绝连接。它可能已关闭，或端口有误。'],
  connect_timeout: ['The upstream does not answer. It may be off, or it blocks this proxy.', '上游没有响应。它可能已关闭，或屏蔽了本代理。'],
  tls_failed: ['No secure connection to the upstream: its certificate is not valid, or it does not support TLS. Try http:// instead of https://.', '无法与上游建立安全连接：证书无效，或它不支持 TLS。如果可用，请尝试 http://。'],
  proxy_failed: ['The proxy on the way to the upstream failed.', '通往上游的代理出现故障。'],
  upstream_busy: ['The upstream allows no more connections now. Stop another stream, or wait.', '上游目前不允许更多连接。请停止其他流，或稍候。'],
  first_byte_timeout: ['The upstream accepted the request, but did not answer in time.', '上游接受了请求，但没有及时应答。'],
  bad_response: ['The upstream gave no valid HTTP answer. It may not be a web server.', '上游没有给出有效的 HTTP 应答。它可能不是网页服务器。'],
  unsupported_coding: ['The playlist is compressed in a way that the proxy cannot read.', '播放列表的压缩方式无法读取。'],
  bad_document: ['The document of the upstream is not well formed or too large, so its links cannot be rewritten.', '上游的文档格式有误或过大，无法改写其中的链接。'],
  too_many_redirects: ['The upstream redirects too often.', '上游不停地重定向。'],
  truncated_body: ['The answer of the upstream ended too early.', '上游的应答过早结束。'],
  idle_timeout: ['The upstream stopped sending.', '上游停止了发送。'],
  upstream_too_slow: ['The upstream sent too slowly.', '上游发送过慢。'],
  overloaded: ['The proxy is at its limit. Try again later.', '代理已达上限。请稍后再试。'],
  stopping: ['The proxy is stopping. Try again in a moment.', '代理正在停止。请稍后再试。'],
  internal: ['The proxy failed. Its log has the details.', '代理内部出错。详情见其日志。'],
};

let column = 0;

function remembered() {
  try {
    return localStorage.getItem('language');
  } catch {
    return null;  // storage is switched off
  }
}

// The language that the person has chosen before, else the first language of the browser for which
// the page has texts.
export function firstLanguage() {
  const wanted = [remembered(), ...navigator.languages].filter(Boolean)
    .map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((language) => languages.includes(language)) ?? 'en';
}

export function setLanguage(language) {
  column = languages.indexOf(language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

export function rememberLanguage(language) {
  try {
    localStorage.setItem('language', language);
  } catch {
    // Storage is switched off: the choice holds until the page is closed.
  }
}

export function t(key, values = {}) {
  return (strings[key] ?? reasons[key])[column].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Fills the elements of the page (data-t, data-t-NAME).
export function translatePage() {
  for (const element of document.querySelectorAll('[data-t]')) {
    element.textContent = t(element.dataset.t);
  }
  for (const name of ['placeholder', 'aria-label']) {
    for (const element of document.querySelectorAll(`[data-t-${name}]`)) {
      element.setAttribute(name, t(element.getAttribute(`data-t-${name}`)));
    }
  }
}
