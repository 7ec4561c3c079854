/* From utils/figures/scripts, by tools/build_figures.py */
(()=>{var E=`
:host { display: block; container-type: inline-size; margin: 1rem 0; color: inherit; font: inherit; line-height: 1.35; print-color-adjust: exact;
  --blue: 0,114,178; --orange: 213,94,0; --mark: 0,158,115;
  --lid: rgb(from currentColor clamp(44, (128 - r)*99, 238) clamp(44, (128 - g)*99, 238) clamp(44, (128 - b)*99, 238)); --line: color-mix(in srgb, currentColor 40%, transparent) }
* { box-sizing: border-box }
.frame { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem; padding: .8rem }
.bar { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin-bottom: .7rem }
label { display: flex; flex-direction: column; gap: .15rem; font-size: .8rem }
select, button, .ask input { font: inherit; font-size: .85rem; color: inherit; min-height: 2rem; max-width: 100%; padding: .15rem .5rem;
  border: 1px solid var(--line); border-radius: .3rem; background: color-mix(in srgb, currentColor 7%, transparent) }
select option { color: CanvasText; background: Canvas }
button { cursor: pointer }
button:disabled { opacity: .5; cursor: default }
button[aria-pressed=true] { background: rgba(var(--mark), .3) }
input[type=range] { width: 7rem; min-height: 1.5rem; accent-color: rgb(var(--blue)) }
figure { margin: 0; max-width: 100% }
figcaption { font-size: .8rem; text-align: center; margin-bottom: .25rem }
table { border-spacing: 2px; margin: 0 auto .4rem }
td { position: relative; padding: 0; width: var(--c); min-width: var(--c); height: var(--c); text-align: center;
  border: 1px solid var(--line); border-radius: 3px; background: var(--fill, transparent) }
td.padding { border-style: dashed; opacity: .8 }
td.on { outline: 3px solid rgb(var(--mark)); outline-offset: -1px; z-index: 1 }
td>* { all: unset; box-sizing: border-box; width: 100%; height: 100%; display: grid; place-items: center;
  font-size: calc(var(--c)*.34); text-align: center; font-variant-numeric: tabular-nums; cursor: default }
td>input { cursor: text }
td>small { position: absolute; right: 2px; bottom: 1px; width: auto; height: auto; font-size: max(8px, calc(var(--c)*.24));
  line-height: 1; pointer-events: none }
:focus-visible { outline: 3px solid currentColor!important; outline-offset: 1px }
.sum { min-height: 3.2em; margin: .6rem 0 0; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.note { font-size: .85rem; margin: .4rem 0 0 }
@media(forced-colors:active) { :host { forced-color-adjust: none; color: CanvasText; --line: currentColor } }
`;var v={Home:-1,End:1},T={ArrowUp:[-1,0],ArrowDown:[1,0],ArrowLeft:[0,-1],ArrowRight:[0,1]};function S(n){n.addEventListener("keydown",e=>{let{target:t,key:r}=e,[i,o]=T[r]??[0,v[r]],a=t.closest("td"),s=t.selectionStart,c=t.long&&o&&s===t.selectionEnd&&t.value[o<0?s-1:s];if(t.long&&(r==="Enter"||r==="F2")&&t.setSelectionRange(t.value.length,t.value.length),!a||o===void 0||c)return;let d=a.parentNode,p=a.closest("table"),l=e.ctrlKey?p:d,m=[...(v[r]?l:p.rows[d.rowIndex+i]?.cells[a.cellIndex+o])?.querySelectorAll("[tabindex]")??[]];r==="End"&&m.reverse(),m.find(y=>(y.focus(),n.activeElement===y))&&(e.preventDefault(),e.stopPropagation())}),n.addEventListener("focusin",({target:e})=>{let t=e.closest("table")?.querySelectorAll('[tabindex="0"]');t?.forEach(r=>{r.tabIndex=-1}),t&&(e.tabIndex=0),e.long&&(e.value=e.long,e.select())}),n.addEventListener("focusout",({target:e})=>{e.long&&(e.value=e.short)})}function x(n,{message:e}){let t=document.createElement("p");t.append(`This figure could not start (${e}). The picture stands in for it.`),n.append(t),n.shadowRoot?.replaceChildren(document.createElement("slot"))}function C(n,e){customElements.get(n)||customElements.define(n,class extends e{connectedCallback(){this.onkeydown=t=>t.ctrlKey||t.metaKey||t.stopPropagation();try{super.connectedCallback()}catch(t){x(this,t)}}})}async function N(n){let e=new Blob([n]).stream().pipeThrough(new DecompressionStream("deflate")),t=await new Response(e).arrayBuffer(),r=4+new DataView(t).getUint32(0,!0),{parts:i,...o}=JSON.parse(new TextDecoder().decode(t.slice(4,r)));for(let[a,s,c]of i)o[a]=new globalThis[s](t.slice(r,r+=c));return o}async function k(n,e){try{let t=n.getAttribute("data"),r=t?Uint8Array.from(atob(t),i=>i.charCodeAt(0)):await(await fetch(n.getAttribute("src"))).arrayBuffer();await e(await N(r))}catch(t){x(n,t)}}function w(n,e=10){let t=(o,a)=>n[o*e+a],r=o=>Array.from({length:e},(a,s)=>o(s)).reduce((a,s)=>a+s),i=Array.from({length:e},(o,a)=>{let s=r(p=>t(p,a)),c=r(p=>t(a,p)),d=t(a,a);return{right:d,said:s,there:c,precision:s?d/s:0,recall:c?d/c:0}});return{per:i,all:r(o=>i[o].there),right:r(o=>i[o].right)}}function z(n,e=10){let{per:t}=w(n,e),r=Array.from(n,(i,o)=>i/(t[Math.floor(o/e)].there||1));return{share:r,most:Math.max(...r.filter((i,o)=>Math.floor(o/e)!==o%e))}}var A=(n,e,t,r)=>Array.from(n.keys()).filter(i=>n[i]===t&&e[i]===r);var u=28,L=16,I=`
.stage { display: flex; flex-wrap: wrap; gap: 1rem 1.6rem; --c: clamp(24px, calc((100cqw - 7.5rem) / 10), 34px) }
.wide { overflow-x: auto; max-width: 100%; flex: 0 0 auto }
.side { flex: 1 1 16rem; min-width: 0 }
table { border-spacing: 1px; margin: 0 }
th { font-size: .75rem; font-weight: normal; text-align: right; padding-right: .3rem; white-space: nowrap }
thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .3rem 0 0; height: 5.4rem }
th.on { font-weight: bold }
td > * { font-size: .7rem; cursor: pointer }
.pictures { display: flex; flex-wrap: wrap; gap: .4rem; margin: .5rem 0 }
.pictures button { padding: 2px; min-height: 0; line-height: 1.3 }
.pictures button[aria-pressed=true] { outline: 3px solid rgb(var(--mark)) }
canvas { display: block; width: 56px; height: 56px; image-rendering: pixelated }
.bars { display: grid; grid-template-columns: auto 1fr 3.2em; gap: .15rem .6rem; font-size: .85rem }
.bars i { background: rgb(var(--blue)) }
.bars .on { font-weight: bold }
details { margin-top: .7rem; font-size: .85rem }
details td, details th { white-space: normal; width: auto; height: auto; padding: .1rem .5rem; text-align: right; border: 0; font-size: .85rem; writing-mode: horizontal-tb; transform: none }
summary { min-height: 1.6rem; cursor: pointer }
@container (max-width: 400px) { .wide table { border-spacing: 0 } .wide th { font-size: .7rem; padding-right: .15rem } }
`,b=n=>n.toLocaleString("en-US"),g=n=>`${(100*n).toFixed(1)} %`,$=class extends HTMLElement{connectedCallback(){this.begun||(this.begun=!0,k(this,e=>this.start(e)))}async start(e){this.carried=e,this.scores=w(e.confusion),this.sheet=await createImageBitmap(new Blob([e.sheet],{type:"image/png"}),{colorSpaceConversion:"none"}),this.build(),this.choose(Number(this.getAttribute("right")??6),Number(this.getAttribute("answer")??0))}build(){let{classes:e,confusion:t}=this.carried,{share:r,most:i}=z(t),o=this.root=this.attachShadow({mode:"open"}),{per:a,all:s,right:c}=this.scores,d=(l,h)=>l===h?`rgba(var(--blue),${(.5*r[11*l]).toFixed(2)})`:`rgba(var(--orange),${(.5*r[10*l+h]/i).toFixed(2)})`,p=(l,h)=>`<tr><th scope=row>${l}${e.map((m,f)=>`<td style="--fill:${d(h,f)}"><button tabindex=-1 data-cell="${h} ${f}"
      aria-label="${l}, answer ${m}: ${t[10*h+f]}">${t[10*h+f]||"·"}</button>`).join("")}`;o.innerHTML=`<style>${E}${I}</style><div class=frame role=group aria-label="Confusion matrix"><div class=stage>
      <div class=wide><table aria-label="rows: what it is, columns: what the network said"><thead><tr><th style="writing-mode:horizontal-tb;transform:none;text-align:right;vertical-align:bottom">it is ↓ said →
        ${e.map(l=>`<th scope=col>${l}`).join("")}<tbody>${e.map(p).join("")}</table>
      <p class=note>${b(c)} of ${b(s)} are right: ${g(c/s)}.</p></div>
      <div class=side><p class=note style="margin-top:0" role=status></p><div class=pictures></div><div class=bars>${e.map(l=>`<span>${l}</span><i></i><span></span>`).join("")}</div>
      <p class=note data-picture aria-live=polite></p><button data-send hidden>Show it to the LeNet</button></div></div>
      <details><summary>Precision and recall of every class</summary><table><tr><th>class<th>found (recall)<th>right when said (precision)${e.map((l,h)=>`<tr><th scope=row>${l}<td>${g(a[h].recall)}<td>${g(a[h].precision)}`).join("")}</table></details>
      <p class=note>Pictures: Fashion-MNIST, Zalando SE, MIT license; in 16 shades of gray.</p></div>`,this.find=l=>o.querySelector(l),this.all=l=>[...o.querySelectorAll(l)],S(o),o.addEventListener("click",({target:l})=>{let{cell:h,picture:m,send:f}=l.closest("button")?.dataset??{};h&&this.choose(...h.split(" ").map(Number)),m&&this.show(Number(m)),f!==void 0&&this.send()})}choose(e,t){let{classes:r,confusion:i}=this.carried,o=i[10*e+t],{per:a}=this.scores;this.cell=[e,t];for(let d of this.all("[data-cell]")){let p=d.dataset.cell===`${e} ${t}`;d.parentNode.classList.toggle("on",p),d.tabIndex=p?0:-1}this.all("[scope=col]").forEach((d,p)=>d.classList.toggle("on",p===t)),this.all("tbody [scope=row]").forEach((d,p)=>d.classList.toggle("on",p===e));let s=A(this.carried["cells.right"],this.carried["cells.answer"],e,t),c=e===t?`Recall: of ${b(a[e].there)} pictures labeled ${r[e]}, ${o} were found, ${g(a[e].recall)}. Precision: of ${a[e].said} answers ${r[e]}, ${g(a[e].precision)} are right. The ones it was least sure of:`:`${r[e]}, taken for ${r[t]}: ${o} of ${b(a[e].there)}${o?`, ${g(o/a[e].there)}`:""}. ${o?s.length?"The ones it was surest of:":"In 16 shades of gray it gets another answer, and is not shown.":"None."}`;this.find("[role=status]").textContent=c,this.pictures(s)}pictures(e){let{classes:t}=this.carried;this.find(".pictures").innerHTML=e.map((r,i)=>`<button data-picture=${r} aria-label="picture ${i+1}: ${this.percents(r)[this.cell[1]]} % ${t[this.cell[1]]}">
      <canvas width=${u} height=${u}></canvas>${this.percents(r)[this.cell[1]]} %</button>`).join("");for(let r of this.all("[data-picture] canvas"))r.getContext("2d").putImageData(this.negative(Number(r.parentNode.dataset.picture)),0,0);this.show(e[0])}percents(e){return this.carried["cells.percent"].subarray(10*e,10*e+10)}pixels(e){let t=Object.assign(document.createElement("canvas"),{width:u,height:u}),r=t.getContext("2d");return r.drawImage(this.sheet,-u*(e%L),-u*Math.floor(e/L)),r.getImageData(0,0,u,u).data.filter((i,o)=>o%4===0)}negative(e){let t=new ImageData(u,u);return this.pixels(e).forEach((r,i)=>t.data.set([255-r,255-r,255-r,255],4*i)),t}show(e){let t=e!==void 0,r=this.find(".bars").children,{classes:i}=this.carried,[o,a]=this.cell;this.chosen=e,this.find(".bars").style.display=t?"":"none",this.find("[data-send]").hidden=!t||!document.querySelector("lenet-explorer"),this.find("[data-picture][aria-live]").textContent=t?`The network gives this picture ${this.percents(e)[a]} % ${i[a]}${o===a?"":` and ${this.percents(e)[o]} % ${i[o]}`}.`:"";for(let s of this.all("button[data-picture]"))s.setAttribute("aria-pressed",Number(s.dataset.picture)===e);t&&this.percents(e).forEach((s,c)=>{r[3*c].classList.toggle("on",c===o),r[3*c+1].style.width=`${s}%`,r[3*c+2].textContent=`${s} %`})}send(){let{classes:e}=this.carried,[t,r]=this.cell,i=`a picture, ${e[t]}${t===r?"":`, taken for ${e[r]}`}`;document.dispatchEvent(new CustomEvent("lenet-picture",{detail:{pixels:this.pixels(this.chosen),words:i}}));let o=matchMedia("(prefers-reduced-motion: reduce)").matches;document.querySelector("lenet-explorer").scrollIntoView({block:"start",behavior:o?"auto":"smooth"})}};C("confusion-browser",$);})();
